//! The rules of the protocol, by name: each can be left out, to see what it prevents.

/// Which rules hold. The names are those of the code and of `docs/protocol.md`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule of its own, in any combination")]
pub(crate) struct Rules {
    /// Nothing decides on an incarnation of Redis before that one was verified.
    pub(crate) fence: bool,
    /// Whoever meets another incarnation holds their own marks against it.
    pub(crate) recall: bool,
    /// Who lifts the fence waits until all other nodes have recalled, what was still to be read included.
    pub(crate) settle: bool,
    /// Who lifts the fence asks the ledger.
    pub(crate) ask_ledger: bool,
    /// Who lifts the fence asks the dead letters, whatever became of them.
    pub(crate) ask_letters: bool,
    /// Who lifts the fence asks Kafka for what the ledger has not passed.
    pub(crate) ask_kafka: bool,
    /// Kafka is asked before the tables are: what leaves the one in between is in the other.
    pub(crate) kafka_first: bool,
    /// What was meant for one incarnation never reaches another one.
    pub(crate) no_resend: bool,
    /// A relay's node knows the facts that the relay has read.
    pub(crate) relay_knows: bool,
    /// A rebuild waits until the outbox is empty.
    pub(crate) drain_outbox: bool,
    /// A rebuild waits until what relays have in hand is in Kafka, or never will be.
    pub(crate) drain_hands: bool,
    /// A rebuild waits until the ledger has passed Kafka's ends.
    pub(crate) drain_ledger: bool,
    /// A rebuild counts the claims of dead letters that wait.
    pub(crate) letters_counted: bool,
    /// A rebuild counts the claims of dead letters that were replayed and are no rows yet.
    pub(crate) replayed_counted: bool,
    /// A rebuilt campaign lives in a generation above all that were seen.
    pub(crate) next_generation: bool,
    /// A rebuild that fails takes no generation with it.
    pub(crate) generation_kept: bool,
    /// A later rebuild overtakes an earlier one.
    pub(crate) one_token: bool,
    /// A rebuild ends with the incarnation in which it began: what it has loaded, and its token, may be gone in the next.
    pub(crate) one_life: bool,
    /// A missing key is lost only for those who have known of it.
    pub(crate) unknown_is_not_lost: bool,
    /// The row knows that the campaign was put before claims are taken.
    pub(crate) row_before_armed: bool,
    /// A change is announced before its row is marked as published.
    pub(crate) told_before_marked: bool,
    /// Every node looks for rows that nobody has published.
    pub(crate) sweep: bool,
    /// What another incarnation lacks of published rows is put and announced again before it decides.
    pub(crate) sweep_anew: bool,
    /// A node reads the directory of another incarnation from its beginning.
    pub(crate) read_anew: bool,
}

impl Rules {
    pub(crate) const ALL: Self = Self {
        fence: true,
        recall: true,
        settle: true,
        ask_ledger: true,
        ask_letters: true,
        ask_kafka: true,
        kafka_first: true,
        no_resend: true,
        relay_knows: true,
        drain_outbox: true,
        drain_hands: true,
        drain_ledger: true,
        letters_counted: true,
        replayed_counted: true,
        next_generation: true,
        generation_kept: true,
        one_token: true,
        one_life: true,
        unknown_is_not_lost: true,
        row_before_armed: true,
        told_before_marked: true,
        sweep: true,
        sweep_anew: true,
        read_anew: true,
    };
}
