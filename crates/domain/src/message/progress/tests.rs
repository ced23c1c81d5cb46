//! Tests of every pair of state and event, and of the properties of merging.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::message::ReportedError;

const NOON: Timestamp = Timestamp::from_micros(1_000);

/// The attempt of every state in the tables.
const ATTEMPT: i32 = 2;

/// Progress of which only the status can change: a report adds neither an earlier time nor an error.
fn settled(status: MessageStatus) -> Progress {
    let early = Some(Timestamp::from_micros(1));
    Progress {
        status,
        attempt: ATTEMPT,
        error: None,
        sent_at: early,
        delivered_at: early,
        read_at: early,
    }
}

/// A status: moved to it; `-`: ignored; `!`: illegal.
fn outcome(step: Step<Progress>) -> String {
    match step {
        Step::Moved(progress) => progress.status.to_string(),
        Step::Ignored => "-".to_owned(),
        Step::Illegal => "!".to_owned(),
    }
}

/// Checks a table with a row per status and a column per event.
fn check(table: &str, events: &[ProgressEvent]) {
    let rows: Vec<Vec<&str>> = table
        .trim()
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let names: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let all: Vec<&str> = MessageStatus::ALL
        .iter()
        .map(|status| status.as_str())
        .collect();
    assert_eq!(names, all, "a row for every status");
    for (row, &status) in rows.iter().zip(MessageStatus::ALL) {
        assert_eq!(
            row.len(),
            events.len() + 1,
            "a column for every event at {status}"
        );
        for (expected, event) in row[1..].iter().zip(events) {
            let found = outcome(settled(status).apply(event.clone()));
            assert_eq!(&found, expected, "{status} and {event:?}");
        }
    }
}

#[test]
fn every_transition_in_every_state() {
    use ProgressEvent::{AnswerLost, Cancel, Due, Expire, HandingOver, Redrive};
    let events = [
        Due,
        HandingOver { attempt: 2 },
        HandingOver { attempt: 3 },
        AnswerLost { attempt: 1 },
        AnswerLost { attempt: 2 },
        AnswerLost { attempt: 3 },
        Expire { attempt: 1 },
        Expire { attempt: 2 },
        Expire { attempt: 3 },
        Cancel,
        Redrive { attempt: 2 },
        Redrive { attempt: 3 },
    ];
    // state     due     hand-over: 2 3  lost: 1 2         3 expire: 1 2     3 cancel   redrive: 2 3
    let table = "
        scheduled   pending -  !        -  !          !  -  expired  !  canceled  -  !
        pending     -       -  sending  -  !          !  -  expired  !  canceled  -  -
        sending     -       -  sending  -  uncertain  !  -  expired  !  !         -  -
        uncertain   -       -  sending  -  -          !  -  !        !  !         -  pending
        sent        -       -  !        -  -          !  -  -        !  !         -  !
        delivered   -       -  !        -  -          !  -  -        !  !         -  !
        read        -       -  !        -  -          !  -  -        !  !         -  !
        undelivered -       -  !        -  -          !  -  -        !  !         -  pending
        failed      -       -  !        -  -          !  -  -        !  !         -  pending
        expired     -       -  !        -  !          !  -  -        !  !         -  pending
        canceled    -       -  !        -  !          !  -  -        !  -         -  !
        received    !       -  !        -  !          !  -  !        !  !         -  !
    ";
    check(table, &events);
}

fn reports(attempt: Option<i32>) -> Vec<ProgressEvent> {
    let report = |&status| {
        ProgressEvent::Report(Report {
            status,
            attempt,
            error: None,
            occurred_at: NOON,
        })
    };
    ReportStatus::ALL.iter().map(report).collect()
}

#[test]
fn every_report_on_the_latest_attempt_in_every_state() {
    //               sent  failed  undelivered  delivered  read
    let table = "
        scheduled    !     !       !            !          !
        pending      sent  failed  undelivered  delivered  read
        sending      sent  failed  undelivered  delivered  read
        uncertain    sent  failed  undelivered  delivered  read
        sent         -     failed  undelivered  delivered  read
        delivered    -     -       -            -          read
        read         -     -       -            -          -
        undelivered  -     -       -            delivered  read
        failed       -     -       undelivered  delivered  read
        expired      !     !       !            !          !
        canceled     !     !       !            !          !
        received     !     !       !            !          !
    ";
    check(table, &reports(None));
    check(table, &reports(Some(ATTEMPT)));
}

#[test]
fn every_report_on_another_attempt_in_every_state() {
    //               sent  failed  undelivered  delivered  read
    let table = "
        scheduled    !     !       !            !          !
        pending      -     -       -            delivered  read
        sending      -     -       -            delivered  read
        uncertain    -     -       -            delivered  read
        sent         -     -       -            delivered  read
        delivered    -     -       -            -          read
        read         -     -       -            -          -
        undelivered  -     -       -            delivered  read
        failed       -     -       -            delivered  read
        expired      !     !       !            !          !
        canceled     !     !       !            !          !
        received     !     !       !            !          !
    ";
    check(table, &reports(Some(ATTEMPT - 1)));
    check(table, &reports(Some(ATTEMPT + 1)));
}

fn apply(progress: Progress, event: ProgressEvent) -> Progress {
    let event_text = format!("{event:?}");
    match progress.clone().apply(event) {
        Step::Moved(next) => {
            assert_ne!(next, progress, "moved without a change by {event_text}");
            next
        }
        Step::Ignored => progress,
        Step::Illegal => panic!("{event_text} is illegal in {progress:?}"),
    }
}

fn merge(start: &Progress, reports: &[Report]) -> Progress {
    reports
        .iter()
        .cloned()
        .map(ProgressEvent::Report)
        .fold(start.clone(), apply)
}

#[test]
fn a_redriven_message_starts_afresh_and_ignores_reports_of_earlier_attempts() {
    let report = |status, attempt| {
        let error = ReportedError {
            code: "unreachable".to_owned(),
            message: "the handset is off".to_owned(),
            provider_code: "30003".to_owned(),
        };
        ProgressEvent::Report(Report {
            status,
            attempt: Some(attempt),
            error: Some(error),
            occurred_at: NOON,
        })
    };
    let dead = [
        ProgressEvent::HandingOver { attempt: 1 },
        report(ReportStatus::Sent, 1),
        report(ReportStatus::Undelivered, 1),
    ];
    let dead = dead.into_iter().fold(Progress::pending(), apply);
    assert_eq!(dead.status, MessageStatus::Undelivered);
    assert!(dead.error.is_some() && dead.sent_at.is_some());

    let redriven = apply(dead, ProgressEvent::Redrive { attempt: 2 });
    assert_eq!(
        redriven,
        Progress {
            attempt: 2,
            ..Progress::pending()
        }
    );
    for late in [ReportStatus::Sent, ReportStatus::Undelivered] {
        assert_eq!(apply(redriven.clone(), report(late, 1)), redriven);
    }
    let again = apply(redriven, ProgressEvent::HandingOver { attempt: 3 });
    let arrived = apply(again, report(ReportStatus::Delivered, 1));
    assert_eq!(
        arrived.status,
        MessageStatus::Delivered,
        "the dead attempt arrived after all"
    );
}

#[test]
fn starting_states() {
    assert_eq!(Progress::scheduled().status, MessageStatus::Scheduled);
    assert_eq!(Progress::pending().status, MessageStatus::Pending);
    assert_eq!(Progress::received().status, MessageStatus::Received);
    let chat = Progress::delivered(NOON);
    assert_eq!(
        (chat.status, chat.delivered_at),
        (MessageStatus::Delivered, Some(NOON))
    );
    assert_eq!((chat.attempt, chat.sent_at, chat.read_at), (0, None, None));
}

// Few distinct values, so that ties and repetitions are common.
fn any_report() -> impl Strategy<Value = Report> {
    let word = || select(vec!["", "a", "b"]).prop_map(str::to_owned);
    let error = (word(), word(), word()).prop_map(|(code, message, provider_code)| ReportedError {
        code,
        message,
        provider_code,
    });
    let attempt = proptest::option::of(1..=ATTEMPT + 1);
    let status = select(ReportStatus::ALL);
    (status, attempt, proptest::option::of(error), 0_i64..4).prop_map(
        |(status, attempt, error, micros)| Report {
            status,
            attempt,
            error,
            occurred_at: Timestamp::from_micros(micros),
        },
    )
}

fn any_start() -> impl Strategy<Value = Progress> {
    let status = select(vec![
        MessageStatus::Pending,
        MessageStatus::Sending,
        MessageStatus::Uncertain,
    ]);
    status.prop_map(|status| Progress {
        status,
        attempt: ATTEMPT,
        ..Progress::pending()
    })
}

fn any_event() -> impl Strategy<Value = ProgressEvent> {
    let attempt = 0..6;
    prop_oneof![
        6 => any_report().prop_map(ProgressEvent::Report),
        1 => Just(ProgressEvent::Due),
        4 => attempt.clone().prop_map(|attempt| ProgressEvent::HandingOver { attempt }),
        2 => attempt.clone().prop_map(|attempt| ProgressEvent::AnswerLost { attempt }),
        1 => attempt.clone().prop_map(|attempt| ProgressEvent::Expire { attempt }),
        1 => Just(ProgressEvent::Cancel),
        2 => attempt.prop_map(|attempt| ProgressEvent::Redrive { attempt }),
    ]
}

/// The contract's merge rule, applied to the whole set at once instead of report by report.
fn by_definition(start: &Progress, reports: &[Report]) -> Progress {
    let counted: Vec<&Report> = reports
        .iter()
        .filter(|r| {
            r.attempt.is_none_or(|a| a == start.attempt) || r.status >= ReportStatus::Delivered
        })
        .collect();
    let earliest = |kind| {
        counted
            .iter()
            .filter(|r| r.status == kind)
            .map(|r| r.occurred_at)
            .min()
    };
    let with_error = counted
        .iter()
        .filter(|r| r.error.is_some())
        .map(|r| r.status)
        .max();
    let error = counted
        .iter()
        .filter(|r| Some(r.status) == with_error)
        .filter_map(|r| {
            let error = r.error.as_ref()?;
            Some((
                r.occurred_at,
                &error.code,
                &error.message,
                &error.provider_code,
                r.status,
            ))
        })
        .min()
        .map(|(occurred_at, code, message, provider_code, from)| Fault {
            code: code.clone(),
            message: message.clone(),
            provider_code: provider_code.clone(),
            from,
            occurred_at,
        });
    Progress {
        status: counted
            .iter()
            .map(|r| r.status)
            .max()
            .map_or(start.status, Into::into),
        attempt: start.attempt,
        error,
        sent_at: earliest(ReportStatus::Sent),
        delivered_at: earliest(ReportStatus::Delivered),
        read_at: earliest(ReportStatus::Read),
    }
}

fn any_set_and_shuffle() -> impl Strategy<Value = (Vec<Report>, Vec<Report>)> {
    let set = proptest::collection::vec(any_report(), 1..9);
    let repeats = proptest::collection::vec(any::<Index>(), 0..9);
    (set, repeats).prop_flat_map(|(set, repeats)| {
        let mut again = set.clone();
        again.extend(repeats.iter().map(|index| index.get(&set).clone()));
        (Just(set), Just(again).prop_shuffle())
    })
}

proptest! {
    #[test]
    fn any_order_and_repetition_gives_one_progress(
        start in any_start(),
        (set, shuffled) in any_set_and_shuffle(),
    ) {
        let merged = merge(&start, &set);
        prop_assert_eq!(&merge(&start, &shuffled), &merged);
        prop_assert_eq!(&merge(&merged, &shuffled), &merged, "nothing new");
        prop_assert_eq!(&by_definition(&start, &set), &merged);
    }

    #[test]
    fn no_sequence_of_events_breaks_an_invariant(events in proptest::collection::vec(any_event(), 0..40)) {
        let mut progress = Progress::scheduled();
        for event in events {
            let before = progress.clone();
            let redriven = matches!(event, ProgressEvent::Redrive { .. });
            match progress.clone().apply(event) {
                Step::Moved(next) => {
                    prop_assert_ne!(&next, &before, "moved without a change");
                    prop_assert!(before.status != MessageStatus::Canceled, "canceled is final");
                    prop_assert!(before.status != MessageStatus::Expired || redriven);
                    progress = next;
                }
                Step::Ignored | Step::Illegal => {}
            }
            prop_assert!(progress.attempt >= before.attempt, "attempts never go back");
            if ReportStatus::from_status(progress.status).is_none() {
                let bare = Progress { attempt: progress.attempt, ..Progress::starting(progress.status) };
                prop_assert_eq!(&progress, &bare, "without a report only status and attempt are set");
            }
            if before.delivered_at.is_some() || before.read_at.is_some() {
                prop_assert!(ReportStatus::from_status(progress.status) >= Some(ReportStatus::Delivered));
            }
        }
    }
}
