//! Layout of the page.

use std::path::PathBuf;

use parlance_testkit::Parlance;

use crate::flow::{page_of, send, shown};

/// The screenshot of the README. It is written only by `make picture`.
#[tokio::test]
async fn picture_of_the_page() {
    #[expect(
        clippy::disallowed_methods,
        reason = "make sets the path of the picture"
    )]
    let wanted = std::env::var_os("PAGE_PICTURE").map(PathBuf::from);
    // The picture shows the default port.
    let port = if wanted.is_some() { "8080" } else { "0" };
    let service = Parlance::builder().env("HTTP_LISTEN", format!("127.0.0.1:{port}"));
    let (_service, _file, mut tab) = page_of(service).await;
    tab.write("#to", "+15005550104").await;
    send(&mut tab, "Your table is booked for Friday, 8 pm.").await;
    tab.until(&shown(
        "Your table is booked for Friday, 8 pm.",
        "DELIVERED",
    ))
    .await;
    tab.click("#new").await;
    tab.write("#to", "+15552223333").await;
    for (ours, theirs) in [
        (
            "Hi Ana, your order 17 has shipped. It arrives tomorrow.",
            "Thank you! Can it be left with a neighbour?",
        ),
        ("Of course. With whom?", "With the Millers, number 12."),
    ] {
        send(&mut tab, ours).await;
        tab.until(&shown(ours, "DELIVERED")).await;
        tab.write("#reply-body", theirs).await;
        tab.click("#reply [type=submit]").await;
        tab.until(&shown(theirs, "RECEIVED")).await;
    }
    tab.write("#body", "Done. See you next time!").await;
    tab.get("document.activeElement.blur()").await;
    for width in [1280, 800, 400] {
        tab.size(width, 800).await;
        let wider = tab
            .get("document.documentElement.scrollWidth > document.documentElement.clientWidth")
            .await;
        assert_eq!(
            wider, false,
            "the page does not overflow at a width of {width}"
        );
    }
    tab.size(1280, 800).await;
    let picture = tab.picture().await;
    assert!(picture.len() < 200 * 1024, "{} bytes", picture.len());
    if let Some(path) = wanted {
        std::fs::write(&path, picture).expect("a folder for the picture");
        tab.scheme("dark").await;
        std::fs::write(path.with_extension("dark.png"), tab.picture().await)
            .expect("the same folder");
    }
}
