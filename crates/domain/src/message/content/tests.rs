//! Tests of every rule at its limit, and of all rules together.

use super::*;

fn fields(content: &ContentView<'_>) -> Vec<String> {
    content
        .check(&Limits::default())
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

fn on(channel: Channel) -> ContentView<'static> {
    ContentView {
        channel: Some(channel),
        body: "hello",
        ..ContentView::default()
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn plain_messages_pass_everywhere() {
    for &channel in Channel::ALL {
        assert_eq!(fields(&on(channel)), NOTHING, "{channel}");
    }
    assert_eq!(
        fields(&ContentView {
            body: "hello",
            ..ContentView::default()
        }),
        NOTHING
    );
}

#[test]
fn a_mail_has_up_to_a_hundred_further_recipients() {
    for channel in [Some(Channel::Email), None] {
        let content = |cc_addresses| ContentView {
            channel,
            body: "hello",
            cc_addresses,
            ..ContentView::default()
        };
        assert_eq!(fields(&content(100)), NOTHING);
        assert_eq!(fields(&content(101)), ["cc_addresses"]);
    }
}

#[test]
fn the_body_limit_depends_on_the_channel() {
    let (short, long) = ("ш".repeat(1_600), "ш".repeat(1_601));
    let (most, more) = ("a".repeat(256 * 1024), "a".repeat(256 * 1024 + 1));
    for channel in [Channel::Sms, Channel::Mms] {
        assert_eq!(
            fields(&ContentView {
                body: &short,
                ..on(channel)
            }),
            NOTHING
        );
        assert_eq!(
            fields(&ContentView {
                body: &long,
                ..on(channel)
            }),
            ["body"]
        );
    }
    for channel in [Some(Channel::Email), Some(Channel::Chat), None] {
        let content = ContentView {
            channel,
            ..ContentView::default()
        };
        assert_eq!(
            fields(&ContentView {
                body: &long,
                ..content
            }),
            NOTHING
        );
        assert_eq!(
            fields(&ContentView {
                body: &most,
                ..content
            }),
            NOTHING
        );
        assert_eq!(
            fields(&ContentView {
                body: &more,
                ..content
            }),
            ["body"]
        );
    }
    assert_eq!(
        fields(&ContentView {
            html_body: &more,
            ..on(Channel::Email)
        }),
        ["html_body"]
    );
    let tight = Limits {
        sms_body_chars: 4,
        ..Limits::default()
    };
    assert_eq!(
        on(Channel::Sms).check(&tight)[0].description,
        "at most 4 characters; shorten it or send several messages"
    );
}

#[test]
fn some_fields_are_valid_on_one_channel_only() {
    for &channel in Channel::ALL {
        let mail = ContentView {
            subject: "s",
            html_body: "<p>",
            quoted_body: "> hi",
            cc_addresses: 1,
            ..on(channel)
        };
        let chat = ContentView {
            role: Some(Role::User),
            ..on(channel)
        };
        let (mail, chat) = (fields(&mail), fields(&chat));
        match channel {
            Channel::Email => assert_eq!((mail, chat), (vec![], vec!["role".to_owned()])),
            Channel::Chat => assert_eq!((mail.len(), chat), (4, vec![])),
            Channel::Sms | Channel::Mms => assert_eq!((mail.len(), chat.len()), (4, 1)),
        }
    }
    let everything = ContentView {
        channel: None,
        role: Some(Role::User),
        cc_addresses: 1,
        subject: "s",
        html_body: "<p>",
        quoted_body: "> hi",
        ..on(Channel::Sms)
    };
    assert_eq!(
        fields(&everything),
        NOTHING,
        "an unknown channel may be any"
    );
}

#[test]
fn a_quoted_body_has_the_limit_of_a_body() {
    let (most, more) = ("a".repeat(256 * 1024), "a".repeat(256 * 1024 + 1));
    let quoting = |quoted_body| {
        fields(&ContentView {
            quoted_body,
            ..on(Channel::Email)
        })
    };
    assert_eq!(quoting(&most), NOTHING);
    assert_eq!(quoting(&more), ["quoted_body"]);
}

#[test]
fn a_subject_is_one_line_of_998_characters() {
    let (most, more) = ("ш".repeat(998), "ш".repeat(999));
    assert_eq!(
        fields(&ContentView {
            subject: &most,
            ..on(Channel::Email)
        }),
        NOTHING
    );
    assert_eq!(
        fields(&ContentView {
            subject: &more,
            ..on(Channel::Email)
        }),
        ["subject"]
    );
    for subject in ["a\nb", "a\r\nBcc: eve@example.com", "a\u{2028}b", "\u{85}"] {
        assert_eq!(
            fields(&ContentView {
                subject,
                ..on(Channel::Email)
            }),
            ["subject"],
            "{subject:?}"
        );
    }
}

#[test]
fn an_empty_message_is_refused_unless_it_is_inbound() {
    let picture = [AttachmentView {
        url: Some("https://example.com/a.png"),
        ..AttachmentView::default()
    }];
    for channel in Channel::ALL.iter().copied().map(Some).chain([None]) {
        let nothing = ContentView {
            channel,
            ..ContentView::default()
        };
        assert_eq!(fields(&nothing), ["body"], "{channel:?}");
        assert_eq!(
            fields(&ContentView {
                body: " \n",
                ..nothing
            }),
            ["body"],
            "{channel:?}"
        );
        assert_eq!(
            fields(&ContentView {
                attachments: &picture,
                ..nothing
            }),
            NOTHING
        );
        assert_eq!(
            fields(&ContentView {
                received: true,
                ..nothing
            }),
            NOTHING
        );
    }
    let mail = ContentView {
        channel: Some(Channel::Email),
        ..ContentView::default()
    };
    assert_eq!(
        fields(&ContentView {
            subject: "no body needed",
            ..mail
        }),
        NOTHING
    );
    assert_eq!(
        fields(&ContentView {
            html_body: "<p>hi</p>",
            ..mail
        }),
        NOTHING
    );
}

#[test]
fn attachments_are_counted_and_checked() {
    let good = AttachmentView {
        filename: "Überweisung 1.pdf",
        content_type: "application/pdf; name=x",
        url: None,
        size_bytes: 25 * 1024 * 1024,
    };
    assert_eq!(
        fields(&ContentView {
            attachments: &[good; 10],
            ..on(Channel::Mms)
        }),
        NOTHING
    );
    assert_eq!(
        fields(&ContentView {
            attachments: &[good; 11],
            ..on(Channel::Mms)
        }),
        ["attachments"]
    );
    let name = "n".repeat(256);
    let url = format!("https://example.com/{}", "p".repeat(2_048));
    let bad = [
        AttachmentView {
            filename: "a\r\nb",
            ..good
        },
        AttachmentView {
            filename: "a\0b",
            ..good
        },
        AttachmentView {
            filename: &name,
            ..good
        },
        AttachmentView {
            content_type: "pdf",
            ..good
        },
        AttachmentView {
            content_type: "a/\r\nb",
            ..good
        },
        AttachmentView {
            content_type: "/pdf",
            ..good
        },
        AttachmentView {
            url: Some("ftp://example.com/a"),
            ..good
        },
        AttachmentView {
            url: Some("https://example.com/a b"),
            ..good
        },
        AttachmentView {
            url: Some(&url),
            ..good
        },
        AttachmentView {
            size_bytes: good.size_bytes + 1,
            ..good
        },
    ];
    let expected: Vec<String> = ["filename"; 3]
        .into_iter()
        .chain(["content_type"; 3])
        .chain(["url"; 3])
        .chain(["content"])
        .enumerate()
        .map(|(i, name)| format!("attachments[{i}].{name}"))
        .collect();
    assert_eq!(
        fields(&ContentView {
            attachments: &bad,
            ..on(Channel::Chat)
        }),
        expected
    );
}

#[test]
fn an_escaped_nul_in_metadata_is_refused() {
    for metadata in [
        "",
        "{}",
        r#"{"a":"\\u0000"}"#,
        r#"{"a":"\u0001\n\\"}"#,
        r#"{"ш":"\ш"}"#,
        "\\",
    ] {
        assert_eq!(
            fields(&ContentView {
                metadata,
                ..on(Channel::Sms)
            }),
            NOTHING,
            "{metadata}"
        );
    }
    for metadata in [
        "\0",
        r#"{"a":"\u0000"}"#,
        r#"{"a":"\\\u0000"}"#,
        r#"{"\u0000":1}"#,
    ] {
        assert_eq!(
            fields(&ContentView {
                metadata,
                ..on(Channel::Sms)
            }),
            ["metadata"],
            "{metadata}"
        );
    }
    let (most, more) = (" ".repeat(16 * 1024), " ".repeat(16 * 1024 + 1));
    assert_eq!(
        fields(&ContentView {
            metadata: &most,
            ..on(Channel::Sms)
        }),
        NOTHING
    );
    assert_eq!(
        fields(&ContentView {
            metadata: &more,
            ..on(Channel::Sms)
        }),
        ["metadata"]
    );
}

#[test]
fn all_violations_are_reported_at_once() {
    let content = ContentView {
        channel: Some(Channel::Sms),
        received: false,
        role: Some(Role::System),
        cc_addresses: 2,
        subject: "a\0\n",
        body: "\0",
        html_body: "\0",
        quoted_body: "\0",
        attachments: &[AttachmentView {
            filename: "\0",
            content_type: "",
            url: None,
            size_bytes: 0,
        }; 11],
        tokens_used: Some(-1),
        latency_ms: Some(-1),
        metadata: "\0",
    };
    let found = content.check(&Limits::default());
    let mut names: Vec<&str> = found.iter().map(|v| v.field.as_str()).collect();
    names.dedup();
    names.retain(|name| !name.starts_with("attachments["));
    assert_eq!(
        names,
        [
            "role",
            "cc_addresses",
            "subject",
            "body",
            "html_body",
            "quoted_body",
            "attachments",
            "tokens_used",
            "latency_ms",
            "metadata"
        ]
    );
    for violation in &found {
        assert!(
            violation
                .description
                .starts_with(|c: char| c.is_lowercase()),
            "{violation:?}"
        );
    }
    let zero = ContentView {
        tokens_used: Some(0),
        latency_ms: Some(0),
        ..on(Channel::Chat)
    };
    assert_eq!(fields(&zero), NOTHING);
}
