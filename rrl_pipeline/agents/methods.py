"""The methods: named configurations of the same learner, never subclasses."""

from rrl_pipeline.agents import config

METHODS = {
    # Agarwal et al. (2022), section 4: λ₀ = 3, τ = 0.1, n = 3; learning rate
    # 1e-4 → 1e-5 as the student catches up with the teacher.
    'qdagger': config.AgentConfig(),
    # The same student alone: DQN with Adam as in Dopamine's dqn.gin, and with
    # the n of QDagger, which is the stronger baseline (0.39 against 0.28 for
    # n = 1 in the paper's figure of n-step ablations).
    'tabula_rasa': config.AgentConfig(
        distillation_weight=0.0,
        learning_rate=6.25e-5,
        weaned_learning_rate=6.25e-5,
        epsilon_start=1.0,
        epsilon_decay_steps=50_000,
    ),
}
