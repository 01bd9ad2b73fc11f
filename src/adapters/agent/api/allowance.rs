//! What the step may still use, as far as the agent can tell: the usage that answers report, what
//! the next request will cost, and when the conversation has grown too long. Pure.

use super::conversation::Conversation;
use crate::domain::quantity::Tokens;
use crate::domain::trial::Usage;

/// No conversation is let grow beyond this: most models read that much at once, and none reads it well.
const WINDOW: u64 = 120_000;
/// A conversation that costs more than this part of what is left is made shorter.
const SHARE: u64 = 4;
/// What a turn's results may be long at the most, as a part of what is left.
const NEWS: u64 = 3;
/// With fewer tokens than these for its answer a turn is of no use.
const USEFUL: u64 = 1024;
/// Where nothing is known yet: text and code have more bytes a token than this, so it is on the safe side.
const BYTES_PER_TOKEN: u64 = 3;
/// The model is told when no more than these percentages of the tokens are left.
const WARNINGS: [u64; 3] = [50, 25, 10];

/// The agent's own estimate of its budget.
#[derive(Debug, Clone)]
pub struct Allowance {
    cap: Option<Tokens>,
    /// What answers reported.
    reported: Usage,
    /// What answers without a report are taken to have cost.
    guessed: u64,
    /// The size of the last request, and what its input was in truth.
    known: Option<(u64, u64)>,
    warned: usize,
}

impl Allowance {
    /// Nothing used yet.
    pub fn new(cap: Option<Tokens>) -> Self {
        Self { cap, reported: Usage::default(), guessed: 0, known: None, warned: 0 }
    }

    /// What was reported, cached input included.
    pub fn reported(&self) -> Usage {
        self.reported
    }

    /// Takes note of an answer to a request of `bytes`, which is `written` bytes long.
    pub fn spent(&mut self, usage: Option<Usage>, bytes: usize, written: usize) {
        match usage {
            Some(usage) => {
                self.reported.input = self.reported.input.saturating_add(usage.input);
                self.reported.output = self.reported.output.saturating_add(usage.output);
                if usage.input > Tokens::ZERO {
                    self.known = Some((bytes as u64, usage.input.0));
                }
            }
            None => {
                let guess = self.estimate(bytes).saturating_add(written as u64 / BYTES_PER_TOKEN);
                self.guessed = self.guessed.saturating_add(guess);
            }
        }
    }

    /// What a request of so many bytes will cost before a word is written.
    pub fn estimate(&self, bytes: usize) -> u64 {
        let bytes = bytes as u64;
        match self.known {
            None => bytes / BYTES_PER_TOKEN,
            Some((before, input)) if bytes >= before => input.saturating_add((bytes - before) / BYTES_PER_TOKEN),
            Some((before, input)) => scaled(input, bytes, before),
        }
    }

    /// How many bytes should be taken out of a conversation that makes a request of so many bytes;
    /// 0 where it is short enough, or where too little can be taken out for it to be worth
    /// breaking what the provider has cached of it.
    pub fn surplus(&self, conversation: &Conversation, bytes: usize) -> usize {
        let cost = self.estimate(bytes);
        let wanted = self.left().map_or(WINDOW, |left| WINDOW.min(left / SHARE));
        let pressing = cost > WINDOW || !self.affords(bytes);
        let worth_it = conversation.removable() >= bytes / 4;
        if cost <= wanted || !(pressing || worth_it) {
            return 0;
        }
        // Much at once, so that it need not be done again soon.
        let target = scaled(bytes as u64, wanted / 2, cost.max(1));
        bytes.saturating_sub(usize::try_from(target).unwrap_or(usize::MAX))
    }

    /// Whether a request of so many bytes leaves enough for an answer.
    pub(super) fn affords(&self, bytes: usize) -> bool {
        self.left().is_none_or(|left| self.estimate(bytes).saturating_add(USEFUL) <= left)
    }

    /// How many bytes the results of a turn may have together. The proxy has to take every byte that is
    /// new for a token, and refuses what does not fit then, whatever it would cost in truth.
    pub fn room(&self) -> usize {
        let Some(left) = self.left() else { return usize::MAX };
        let again = self.known.map_or(0, |(_, input)| input);
        // What the model said goes back too, and JSON writes some bytes as two.
        let spare = left.saturating_sub(again).saturating_sub(USEFUL) / 4 * 3;
        usize::try_from(spare.min(left / NEWS)).unwrap_or(usize::MAX)
    }

    /// What is left for the answer to a request of so many bytes; nothing is said without a cap.
    pub fn answer(&self, bytes: usize) -> Option<Tokens> {
        self.left().map(|left| Tokens(left.saturating_sub(self.estimate(bytes)).max(1)))
    }

    /// A sentence for the model, once each time that much more of its budget is gone.
    pub fn warning(&mut self) -> Option<String> {
        let (cap, left) = (self.cap?, self.left()?);
        let percent = scaled(left, 100, cap.0.max(1));
        let reached = WARNINGS.iter().filter(|mark| percent <= **mark).count();
        let news = reached > self.warned;
        self.warned = self.warned.max(reached);
        news.then(|| format!("About {} of {cap} tokens are left for this step.", Tokens(left)))
    }

    fn left(&self) -> Option<u64> {
        let spent = self.reported.total().0.saturating_add(self.guessed);
        self.cap.map(|cap| cap.0.saturating_sub(spent))
    }
}

/// `value × part / whole`, rounded up.
fn scaled(value: u64, part: u64, whole: u64) -> u64 {
    let exact = u128::from(value) * u128::from(part);
    u64::try_from(exact.div_ceil(u128::from(whole.max(1)))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::conversation::{Round, Told};
    use super::*;

    fn usage(input: u64, output: u64) -> Option<Usage> {
        Some(Usage { input: Tokens(input), output: Tokens(output) })
    }

    fn of(cap: u64) -> Allowance {
        Allowance::new(Some(Tokens(cap)))
    }

    /// A conversation of ten rounds with results of so many bytes.
    fn talk(each: usize) -> Conversation {
        let told = || Told {
            id: String::new(),
            call: "read a".to_owned(),
            text: "x".repeat(each),
            failed: false,
            left_out: false,
        };
        let rounds = (0..10).map(|_| Round { results: vec![told()], ..Round::default() }).collect();
        Conversation { rounds, ..Conversation::default() }
    }

    #[test]
    fn the_next_request_costs_what_the_last_one_did_and_what_is_new() {
        let mut allowance = of(100_000);
        assert_eq!(allowance.estimate(3000), 1000);
        allowance.spent(usage(700, 50), 3000, 90);
        assert_eq!(allowance.estimate(3000), 700);
        assert_eq!(allowance.estimate(3300), 800);
        assert_eq!(allowance.estimate(1500), 350);
        assert_eq!(allowance.reported(), usage(700, 50).unwrap());
    }

    #[test]
    fn an_answer_without_a_report_is_guessed_and_not_reported() {
        let mut allowance = of(2100);
        assert!(allowance.affords(3000));
        allowance.spent(None, 3000, 300);
        assert_eq!(allowance.reported(), Usage::default());
        assert!(!allowance.affords(3000), "1,000 and 100 are gone, and 1,000 are too few");
    }

    #[test]
    fn a_turn_that_leaves_no_room_for_an_answer_is_not_afforded() {
        assert!(of(2024).affords(3000));
        assert!(!of(2023).affords(3000));
        assert!(Allowance::new(None).affords(usize::MAX));
        assert_eq!(of(2024).answer(3000), Some(Tokens(1024)));
        assert_eq!(of(10).answer(3000), Some(Tokens(1)));
        assert_eq!(Allowance::new(None).answer(3000), None);
    }

    #[test]
    fn a_conversation_is_made_shorter_where_it_costs_too_much_of_what_is_left_and_then_by_half() {
        let conversation = talk(3000);
        // 10,000 tokens of 40,000 are a quarter.
        assert_eq!(of(40_000).surplus(&conversation, 30_000), 0);
        assert_eq!(of(39_000).surplus(&conversation, 30_000), 30_000 - 14_625);
        assert_eq!(Allowance::new(None).surplus(&conversation, 300_000), 0);
        assert_eq!(Allowance::new(None).surplus(&talk(60_000), 600_000), 420_000);
    }

    #[test]
    fn nothing_is_taken_out_for_a_small_gain_unless_it_must_be() {
        let conversation = talk(400);
        assert!(conversation.removable() < 30_000 / 4);
        assert_eq!(of(20_000).surplus(&conversation, 30_000), 0);
        assert!(of(10_500).surplus(&conversation, 30_000) > 0, "there is no room for an answer otherwise");
    }

    #[test]
    fn results_may_be_as_long_as_what_is_left_has_tokens_beside_the_conversation() {
        let mut allowance = of(30_000);
        assert_eq!((allowance.room(), Allowance::new(None).room()), (10_000, usize::MAX));
        allowance.spent(usage(12_000, 1000), 40_000, 0);
        assert_eq!(allowance.room(), (17_000 - 12_000 - 1024) / 4 * 3);
        allowance.spent(usage(14_000, 1000), 40_000, 0);
        assert_eq!(allowance.room(), 0);
    }

    #[test]
    fn each_mark_is_told_once() {
        let mut allowance = of(1000);
        let mut told = Vec::new();
        for _ in 0..10 {
            allowance.spent(usage(100, 0), 10, 0);
            told.extend(allowance.warning());
        }
        insta::assert_snapshot!(told.join("\n"), @r"
        About 500 of 1,000 tokens are left for this step.
        About 200 of 1,000 tokens are left for this step.
        About 100 of 1,000 tokens are left for this step.
        ");
        assert_eq!(Allowance::new(None).warning(), None);
    }

    #[test]
    fn the_largest_numbers_do_not_wrap_around() {
        let mut allowance = of(u64::MAX);
        allowance.spent(usage(u64::MAX, u64::MAX), usize::MAX, usize::MAX);
        assert!(!allowance.affords(usize::MAX));
        assert_eq!(allowance.estimate(1), 1);
    }
}
