//! Tells stories again, with one host call failing each time.

use core::fmt;
use std::collections::HashMap;

use lictor_host::HostCall;

use crate::faults::{Effect, faults};
use crate::stories::{Story, Who};
use crate::tolerated::is_tolerated;
use crate::verdict::{Verdict, is_part, not_edited};
use crate::world::World;

/// What is odd about a story in which a call has failed.
#[derive(Debug)]
pub enum Odd {
    /// It ends as if nothing had failed.
    Unchanged,
    /// A request waits for ever, and the VM lives.
    Waits(String),
    /// Anything else but a refusal.
    Wrong(String),
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unchanged => f.write_str("nothing changes, and no table says why"),
            Self::Waits(what) | Self::Wrong(what) => f.write_str(what),
        }
    }
}

/// Tells each story of each, whole and with each of its calls failing in each way; panics with all
/// that is wrong.
pub fn tell(stories: &[Story]) {
    let mut wrong = Vec::new();
    for story in stories {
        for who in [Who::Known, Who::Stranger] {
            if !story.expected(who).is_empty() {
                told(story, who, &mut wrong);
            }
        }
    }
    assert!(wrong.is_empty(), "{} times:\n{}", wrong.len(), wrong.join("\n"));
}

fn told(story: &Story, who: Who, wrong: &mut Vec<String>) {
    let whole = story.told(who, None);
    let verdicts = verdicts(&whole);
    let words: Vec<_> = verdicts.iter().map(Verdict::to_string).collect();
    let title = format!("{} ({who:?})", story.name);
    if words != story.expected(who) || whole.vm.dead().is_some() {
        let (expected, dead) = (story.expected(who), whole.vm.dead());
        wrong.push(format!("{title}: {words:?}, not {expected:?}; dead: {dead:?}"));
        return;
    }
    wrong.extend(leaks(&whole, &verdicts).map(|leak| format!("{title}: {leak}")));
    let calls = whole.vm.record().get(whole.prepared_calls..).unwrap_or_default();
    for (number, call) in sample(calls) {
        let before = number.checked_sub(1).and_then(|before| calls.get(before));
        let Some(faults) = faults(call, before) else {
            wrong.push(format!("{title}: {call} has no row in the table of faults"));
            continue;
        };
        for (fault, effect) in faults {
            let failed = story.told(who, Some((number, *fault)));
            let Err(odd) = judge(&failed, &verdicts, *effect, (call, who)) else { continue };
            if is_tolerated(call, story.name, &odd) {
                continue;
            }
            wrong.push(format!("{title}, {call} = {fault:?}: {odd}"));
        }
    }
}

/// All calls; of one kind the first ones, and then one of many.
fn sample(calls: &[HostCall]) -> Vec<(usize, &HostCall)> {
    let mut seen: HashMap<_, usize> = HashMap::new();
    let chosen = calls.iter().enumerate().filter(|(_, call)| {
        // Keys of shared data have a digest and a place behind the second dot.
        let subject = call.subject.splitn(3, '.').take(2).collect::<Vec<_>>();
        let count = seen.entry((call.name, call.callback, &*call.step, subject)).or_default();
        *count += 1;
        let first = if call.name.ends_with("shared_data") { 3 } else { 6 };
        *count <= first || *count % 200 == 0
    });
    chosen.collect()
}

fn verdicts(world: &World) -> Vec<Verdict> {
    world.streams.iter().filter_map(|id| world.vm.stream(*id)).map(Verdict::of).collect()
}

/// What must not have been let out, whatever fails.
fn leaks(world: &World, verdicts: &[Verdict]) -> impl Iterator<Item = String> {
    let edits =
        verdicts.iter().filter_map(|verdict| verdict.upstream.as_ref()).filter_map(not_edited);
    let edits = edits.map(|line| format!("forwarded with {line}"));
    let told = verdicts.iter().filter_map(|verdict| verdict.answer.as_ref()).filter(|answer| {
        let lines = answer.headers.iter().map(|(_, value)| value);
        lines.chain([&answer.body]).any(|bytes| is_secret(bytes))
    });
    let told = told.map(|_| "a secret in an answer".to_owned());
    let logged = world.vm.logs().iter().filter(|(_, line)| is_secret(line.as_bytes()));
    let logged = logged.map(|(_, line)| format!("a secret in the log: {line}"));
    edits.chain(told).chain(logged).collect::<Vec<_>>().into_iter()
}

fn is_secret(bytes: &[u8]) -> bool {
    bytes.windows(7).any(|part| part == b"planted")
}

/// Judges a story in which a call has failed by what became of it whole.
fn judge(
    failed: &World,
    whole: &[Verdict],
    effect: Effect,
    (call, who): (&HostCall, Who),
) -> Result<(), Odd> {
    let verdicts = verdicts(failed);
    if let Some(leak) = leaks(failed, &verdicts).next() {
        return Err(Odd::Wrong(leak));
    }
    let same_call = failed.vm.record().get(call.number);
    if same_call.is_none_or(|made| (made.name, made.callback) != (call.name, call.callback)) {
        return Err(Odd::Wrong("another call was made in its place".to_owned()));
    }
    let dead = failed.vm.dead();
    match (effect, dead) {
        (Effect::Handled, Some(why)) => return Err(Odd::Wrong(format!("the VM is dead: {why}"))),
        (Effect::Traps, None) => {
            return Err(Odd::Wrong("the VM lives, which the table denies".to_owned()));
        }
        _ => {}
    }
    for (place, verdict) in verdicts.iter().enumerate() {
        let was = whole.get(place).map(Verdict::to_string).unwrap_or_default();
        let request = format!("request {place} was {was}, and now");
        if verdict.waits && dead.is_none() {
            return Err(Odd::Waits(format!("{request} waits for ever")));
        }
        compare(verdict, whole.get(place))
            .map_err(|what| Odd::Wrong(format!("{request} is {verdict}: {what}")))?;
    }
    // A stranger is refused as before; that is no question.
    let decides = who == Who::Known && whole.iter().any(|verdict| !verdict.is_refusal());
    if decides && dead.is_none() && verdicts == whole { Err(Odd::Unchanged) } else { Ok(()) }
}

/// Compares a request's end with its end in the whole story.
fn compare(verdict: &Verdict, whole: Option<&Verdict>) -> Result<(), &'static str> {
    let nothing = Verdict { upstream: None, answer: None, reset: false, waits: false };
    let whole = whole.unwrap_or(&nothing);
    if let Some(seen) = &verdict.upstream {
        let Some(may) = &whole.upstream else { return Err("it is forwarded") };
        if seen.headers != may.headers {
            return Err("it is forwarded with another head");
        }
        if !is_part(&seen.body, &may.body, verdict.is_socket()) {
            return Err("it is forwarded with another body");
        }
        return if verdict.answers_no_more_than(whole) { Ok(()) } else { Err("another answer") };
    }
    if verdict.waits || verdict.is_refusal() || verdict.is_answered_like(whole) {
        return Ok(());
    }
    Err("it is no refusal")
}
