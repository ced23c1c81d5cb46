//! `SimulatorService`.

use parlance_proto::v1::{self, ListSentRequest as List, ReplyAsRequest as Reply};
use parlance_tests::Caller;
use parlance_tests::make::{self, answer, mail_addresses, phones, seen_at};

use super::{NO_MAILS, NO_PHONES, long, taken, walk};

fn text(change: impl FnOnce(&mut Reply)) -> Reply {
    let mut reply = answer(&phones(), "hi");
    change(&mut reply);
    reply
}

fn letter(change: impl FnOnce(&mut Reply)) -> Reply {
    let mut reply = answer(&mail_addresses(), "hi");
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
            (letter(|r| r.channel = v1::Channel::Sms.into()), vec!["to_address", "from_address"]),
            (letter(|r| r.from_address = make::phone()), vec!["from_address"]),
            (text(|r| r.from_address = mail_addresses().ours), vec!["from_address"]),
            (text(|r| r.subject = "s".to_owned()), vec!["subject"]),
            (text(|r| r.body = long(1_601)), vec!["body"]),
            (text(|r| r.body = "a\0b".to_owned()), vec!["body"]),
            (letter(|r| r.body = "x".repeat(256 * 1024 + 1)), vec!["body"]),
            (letter(|r| r.subject = "a\r\nBcc: b@example.com".to_owned()), vec!["subject"]),
            (letter(|r| r.subject = long(999)), vec!["subject"]),
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
        for phone in NO_PHONES {
            table.push((text(|r| r.to_address = phone.to_owned()), vec!["to_address"]));
            table.push((text(|r| r.from_address = phone.to_owned()), vec!["from_address"]));
        }
        for address in NO_MAILS {
            table.push((letter(|r| r.from_address = address.to_owned()), vec!["from_address"]));
        }
        walk(&t, table).await;
        let (pair, letters) = (t.pair().await, t.mail_pair().await);
        taken(&t, vec![
            answer(&pair, &long(1_600)),
            // Names and short codes write, too.
            Reply { to_address: "ACME".to_owned(), ..answer(&pair, "hi") },
            Reply { to_address: "12345".to_owned(), channel: v1::Channel::Sms.into(), ..answer(&pair, "hi") },
            Reply { subject: long(998), body: "x".repeat(256 * 1024), ..answer(&letters, "") },
        ]).await;
    }

    async fn list_sent(t: Caller) {
        let mut table = vec![
            (List { page_size: -1, ..Default::default() }, vec!["page_size"]),
            (List { page_size: i32::MIN, ..seen_at("nobody") }, vec!["page_size", "to_address"]),
        ];
        // Without an address everybody is meant.
        let wrong = NO_PHONES.into_iter().chain(NO_MAILS).filter(|address| !address.is_empty());
        table.extend(wrong.map(|address| (seen_at(address), vec!["to_address"])));
        walk(&t, table).await;
        taken(&t, vec![List { page_size: i32::MAX, ..Default::default() }, seen_at(&make::phone()), seen_at("12345")]).await;
    }
}
