//! `SimulatorService`.

use parlance_proto::v1::{self, ListSentRequest as List, ReplyAsRequest as Reply};
use parlance_tests::Caller;
use parlance_tests::make::{self, list_sent, mail_addresses, phones, reply_as};

use super::{INVALID_MAIL_ADDRESSES, INVALID_PHONES, assert_accepted, assert_rejected, long};

fn text(change: impl FnOnce(&mut Reply)) -> Reply {
    let mut reply = reply_as(&phones(), "hi");
    change(&mut reply);
    reply
}

fn email(change: impl FnOnce(&mut Reply)) -> Reply {
    let mut reply = reply_as(&mail_addresses(), "hi");
    change(&mut reply);
    reply
}

on_both! {
    async fn reply_as(t: Caller) {
        let mut table = vec![
            (Reply::default(), vec!["to_address", "from_address"]),
            (text(|r| r.channel = v1::Channel::Chat.into()), vec!["channel"]),
            (text(|r| r.channel = v1::Channel::Mms.into()), vec!["channel"]),
            (text(|r| r.channel = 99), vec!["channel"]),
            (text(|r| r.channel = -1), vec!["channel"]),
            (text(|r| r.channel = v1::Channel::Email.into()), vec!["to_address", "from_address"]),
            (email(|r| r.channel = v1::Channel::Sms.into()), vec!["to_address", "from_address"]),
            (email(|r| r.from_address = make::phone()), vec!["from_address"]),
            (text(|r| r.from_address = mail_addresses().ours), vec!["from_address"]),
            (text(|r| r.subject = "s".to_owned()), vec!["subject"]),
            (text(|r| r.body = long(1_601)), vec!["body"]),
            (text(|r| r.attachments = vec![v1::NewAttachment::default()]), vec!["attachments[0]", "attachments[0].content_type"]),
            (text(|r| r.body = "a\0b".to_owned()), vec!["body"]),
            (email(|r| r.body = "x".repeat(256 * 1024 + 1)), vec!["body"]),
            (email(|r| r.subject = "a\r\nBcc: b@example.com".to_owned()), vec!["subject"]),
            (email(|r| r.subject = long(999)), vec!["subject"]),
            (
                text(|r| {
                    r.to_address = "+1".to_owned();
                    r.from_address = "x".repeat(12);
                    r.subject = "s".to_owned();
                    r.body = "\0".to_owned();
                }),
                vec!["to_address", "from_address", "subject", "body"],
            ),
        ];
        for phone in INVALID_PHONES {
            table.push((text(|r| r.to_address = phone.to_owned()), vec!["to_address"]));
            table.push((text(|r| r.from_address = phone.to_owned()), vec!["from_address"]));
        }
        for address in INVALID_MAIL_ADDRESSES {
            table.push((email(|r| r.from_address = address.to_owned()), vec!["from_address"]));
        }
        assert_rejected(&t, table).await;
        let (pair, emails) = (t.pair().await, t.mail_pair().await);
        assert_accepted(&t, vec![
            reply_as(&pair, &long(1_600)),
            // Alphanumeric senders and short codes can send messages, too.
            Reply { to_address: "ACME".to_owned(), ..reply_as(&pair, "hi") },
            Reply { to_address: "12345".to_owned(), channel: v1::Channel::Sms.into(), ..reply_as(&pair, "hi") },
            Reply { subject: long(998), body: "x".repeat(256 * 1024), ..reply_as(&emails, "") },
        ]).await;
    }

    async fn list_sent(t: Caller) {
        let mut table = vec![
            (List { page_size: -1, ..Default::default() }, vec!["page_size"]),
            (List { page_size: i32::MIN, ..list_sent("nothing") }, vec!["page_size", "to_address"]),
        ];
        // Without an address the messages of all addresses are listed.
        let invalid = INVALID_PHONES.into_iter().chain(INVALID_MAIL_ADDRESSES).filter(|address| !address.is_empty());
        table.extend(invalid.map(|address| (list_sent(address), vec!["to_address"])));
        assert_rejected(&t, table).await;
        assert_accepted(&t, vec![List { page_size: i32::MAX, ..Default::default() }, list_sent(&make::phone()), list_sent("12345")]).await;
    }

    async fn set_script(t: Caller) {
        let fault = |change: fn(&mut v1::Fault)| {
            let mut fault = v1::Fault { kind: v1::FaultKind::Drop.into(), ..Default::default() };
            change(&mut fault);
            v1::SetScriptRequest { seed: 1, faults: vec![fault] }
        };
        let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        assert_rejected(&t, vec![
            (v1::SetScriptRequest { seed: 1, faults: vec![v1::Fault::default(); 101] }, vec!["faults"]),
            (fault(|it| it.kind = 0), vec!["faults[0].kind"]),
            (fault(|it| it.kind = 99), vec!["faults[0].kind"]),
            (fault(|it| it.probability = 1.1), vec!["faults[0].probability"]),
            (fault(|it| it.probability = f64::NAN), vec!["faults[0].probability"]),
            (fault(|it| it.count = -1), vec!["faults[0].count"]),
            (fault(|it| it.recipient = "a\0".to_owned()), vec!["faults[0].recipient"]),
        ]).await;
        let mut long = fault(|_| {});
        long.faults[0].delay = seconds(86_401);
        assert_rejected(&t, vec![(long, vec!["faults[0].delay"])]).await;
        assert_accepted(&t, vec![v1::SetScriptRequest::default()]).await;
    }

    async fn advance_clock(t: Caller) {
        let by = |seconds| v1::AdvanceClockRequest { by: Some(prost_types::Duration { seconds, nanos: 0 }) };
        assert_rejected(&t, vec![
            (v1::AdvanceClockRequest::default(), vec!["by"]),
            (by(0), vec!["by"]),
            (by(-1), vec!["by"]),
            (by(i64::MAX), vec!["by"]),
            // Beyond the year 9999.
            (by(300_000_000_000), vec!["by"]),
        ]).await;
        assert_accepted(&t, vec![by(1)]).await;
    }

    async fn webhooks(t: Caller) {
        assert_rejected(&t, vec![
            (v1::ListWebhooksRequest { page_size: -1, ..Default::default() }, vec!["page_size"]),
            (v1::ListWebhooksRequest { provider_message_id: long(129), ..Default::default() }, vec!["provider_message_id"]),
        ]).await;
        assert_rejected(&t, vec![
            (v1::ReplayWebhookRequest::default(), vec!["id"]),
            (v1::ReplayWebhookRequest { id: long(129) }, vec!["id"]),
        ]).await;
    }
}
