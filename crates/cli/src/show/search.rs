//! Output of search results.

use parlance_proto::v1::SearchResult;

use super::table::{Cell, Paint, Table};
use super::{labels, time};

/// Table with a row for each result.
pub(crate) fn table(results: &[SearchResult]) -> Table {
    let mut table = Table::with_head(["TIME (UTC)", "", "STATUS", "FROM", "ID", "TEXT"]);
    for result in results {
        let message = result.message.clone().unwrap_or_default();
        table.row([
            time::date(message.created_at),
            Cell::new(labels::arrow(message.direction())),
            labels::status(message.status),
            Cell::new(labels::author(&message)),
            Cell::new(&message.id).paint(Paint::Faint),
            Cell::new(plain(&result.snippet)),
        ]);
    }
    table
}

/// Plain text of a snippet, which is HTML.
fn plain(snippet: &str) -> String {
    let unmarked = snippet.replace("<mark>", "").replace("</mark>", "");
    let unescaped = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
    ]
    .into_iter()
    .fold(unmarked, |text, (escape, c)| text.replace(escape, c));
    // Last, or it would create new escapes.
    unescaped.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_becomes_plain_text() {
        let snippet = "…&lt;b&gt; <mark>it</mark>&#39;s &amp;lt; &quot;here&quot;";
        assert_eq!(plain(snippet), "…<b> it's &lt; \"here\"");
    }
}
