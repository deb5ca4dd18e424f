"""The methods: named configurations of the same learner, never subclasses.

Numbers that a row does not give are QDagger's, the defaults of
`config.AgentConfig`. "The paper" is Agarwal et al., "Reincarnating
reinforcement learning" (NeurIPS 2022), "the code" that of its authors. Where
the two or their figures disagree, docs/methods.md says what was chosen.
"""

import dataclasses
from typing import Optional

from rrl_pipeline.agents import algorithm_config
from rrl_pipeline.agents import config
from rrl_pipeline.agents import method_config
from rrl_pipeline.agents import optimizer_config
from rrl_pipeline.networks import config as network_config


@dataclasses.dataclass(frozen=True)
class Method:
  """A row of the table.

  Attributes:
    summary: what it is, in one line.
    agent: its settings, at the scale of the paper.
    learns_offline: whether it has an offline stage.
    network: the network that it is made for; None for any.
  """

  summary: str
  agent: config.AgentConfig
  learns_offline: bool = True
  network: Optional[network_config.NetworkConfig] = None


# The teacher's weight and the learning rate stay as they are.
_NEVER = method_config.WeaningConfig(schedule='constant', steps=None)

# From the switch on the agent has its weaned learning rate.
_AT_ONCE = method_config.WeaningConfig(schedule='constant', steps=0)

# A student without distillation that begins online: Dopamine's learning rate,
# and an exploration rate that falls from 1 to 0.01 in 50,000 steps (the code's
# jsrl_dqn.gin). n = 3 is the stronger baseline: 0.39 against 0.28 for n = 1 in
# the paper's ablation of n.
_FROM_SCRATCH = config.AgentConfig(
    distillation_weight=0.0,
    learning_rate=6.25e-5,
    weaned_learning_rate=6.25e-5,
    weaning=_NEVER,
    epsilon_start=1.0,
    epsilon_decay_steps=50_000,
)

# Goes on with the teacher's network, as the code's reloading agents do: with
# its replay, without a warm-up, exploring as little as it did at the end. They
# take one step of return. 1e-5 is a sixth of the teacher's learning rate, and
# the better one in the paper's figure of learning rates on reloading.
_RELOADED = config.AgentConfig(
    n_step=1,
    distillation_weight=0.0,
    learning_rate=1e-5,
    weaned_learning_rate=1e-5,
    initial_network='teacher',
    weaning=_NEVER,
    switch=method_config.SwitchConfig(optimizer='fresh', replay='logs'),
)

# λ₀ = 3, τ = 0.1, n = 3, t₀ = 1.5 M; 1e-4 → 1e-5 (qdagger_dqn.gin).
_QDAGGER = config.AgentConfig()

# The weight 1 of CQL's term and τ = 0.1 (pretrained_dqn.gin), with the n = 3
# that is best in the paper. Adam begins anew online, at a tenth of the rate.
_PRETRAINING = config.AgentConfig(
    distillation_weight=0.0,
    conservative_weight=1.0,
    weaning=_AT_ONCE,
    switch=method_config.SwitchConfig(optimizer='fresh'),
)

_KICKSTARTING = dataclasses.replace(
    _QDAGGER, epsilon_start=1.0, epsilon_decay_steps=50_000
)


METHODS = {
    'qdagger': Method(
        'Distils the teacher offline and online, until the student is as good.',
        _QDAGGER,
    ),
    'tabula_rasa': Method(
        'Learns online from nothing.', _FROM_SCRATCH, learns_offline=False
    ),
    # kickstarting_dqn.gin: QDagger with no offline updates.
    'kickstarting': Method(
        'QDagger without its offline stage.',
        _KICKSTARTING,
        learns_offline=False,
    ),
    # Class defaults of the code and the paper's best of its sweep: α = 1,000,
    # β = 0.8. The shipped jsrl_dqn.gin is of another variant.
    'jsrl': Method(
        'The teacher plays the first steps of each episode, ever fewer.',
        dataclasses.replace(
            _FROM_SCRATCH,
            roll_in=method_config.RollInConfig(horizon=1_000, shrinkage=0.8),
        ),
        learns_offline=False,
    ),
    # The best ρ of the paper's sweep.
    'rehearsal': Method(
        "Mixes the teacher's data into its batches, one transition in 16.",
        dataclasses.replace(
            _FROM_SCRATCH,
            rehearsal=method_config.RehearsalConfig(ratio=1 / 16),
        ),
        learns_offline=False,
    ),
    'pretraining': Method(
        'Conservative Q-learning (CQL) offline, then Q-learning online.',
        _PRETRAINING,
    ),
    # A weight of 1, a margin of 1 and a constant learning rate
    # (dqfd_dqn.gin); n = 3 as in the paper's headline curve. The code
    # multiplies the weight by the decay twice, here it is once.
    'dqfd': Method(
        "Learns to place the teacher's action first by a margin (DQfD).",
        config.AgentConfig(
            distillation_weight=0.0,
            weaned_learning_rate=1e-4,
            margin_weight=1.0,
            margin=1.0,
            margin_form='elementwise',
        ),
    ),
    'fine_tuning': Method(
        "Goes on with the teacher's network, by Adam at a small rate.",
        _RELOADED,
        learns_offline=False,
    ),
    # qdagger_rainbow.gin with the Impala-CNN: λ₀ = 1, t₀ = 2.5 M; Rainbow is
    # C51, prioritised replay and 3-step returns there.
    'qdagger_rainbow': Method(
        'QDagger into Rainbow with an Impala-CNN.',
        config.AgentConfig(
            algorithm=algorithm_config.C51Config(),
            distillation_weight=1.0,
            weaning=method_config.WeaningConfig(steps=2_500_000),
            prioritized_replay=True,
        ),
        network=network_config.ImpalaConfig(),
    ),
    # Controls.
    # The code's QL_PLUS_DAGGER: weight and learning rate stay as they are.
    'qdagger_constant': Method(
        'Control: QDagger that is never weaned.',
        dataclasses.replace(_QDAGGER, weaning=_NEVER),
    ),
    # The code's DAGGER.
    'distillation_only': Method(
        'Control: imitates the teacher and learns nothing from rewards.',
        dataclasses.replace(_QDAGGER, td_weight=0.0, weaning=_NEVER),
    ),
    # The paper's figure of n: it dips when the teacher leaves.
    'kickstarting_one_step': Method(
        'Control: kickstarting with one step of return.',
        dataclasses.replace(_KICKSTARTING, n_step=1),
        learns_offline=False,
    ),
    'reload_original_lr': Method(
        "Control: fine-tuning at the teacher's own learning rate.",
        dataclasses.replace(
            _RELOADED, learning_rate=6.25e-5, weaned_learning_rate=6.25e-5
        ),
        learns_offline=False,
    ),
    # A fifth of dqn_nature.gin's 2.5e-4, as in the paper's figure.
    'fine_tuning_rmsprop': Method(
        "Control: fine-tuning by Nature DQN's RMSProp, at a fifth of its rate.",
        dataclasses.replace(
            _RELOADED,
            optimizer=optimizer_config.RmspropConfig(),
            learning_rate=5e-5,
            weaned_learning_rate=5e-5,
        ),
        learns_offline=False,
    ),
    # Beyond the paper.
    # WSRL (Zhou et al., ICLR 2025): no data is kept; 5,000 steps are played by
    # the pre-trained policy, and then updates go on at the rate and with the
    # moments of the offline stage. Its critics are an ensemble that is updated
    # several times per step; this student is one DQN.
    'warm_start': Method(
        'CQL offline; its policy fills the replay before the first update.',
        dataclasses.replace(
            _PRETRAINING,
            weaned_learning_rate=1e-4,
            min_replay_steps=5_000,
            switch=method_config.SwitchConfig(optimizer='kept'),
        ),
    ),
    # RLPD (Ball et al., ICML 2023), without its ensembles and layer norm.
    'symmetric_sampling': Method(
        "Half of each batch is the teacher's data.",
        dataclasses.replace(
            _FROM_SCRATCH,
            rehearsal=method_config.RehearsalConfig(ratio=0.5, exact=True),
        ),
        learns_offline=False,
    ),
}
