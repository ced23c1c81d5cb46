//! The tokens of a source file, without comments and items of tests.

/// A name, a literal or a sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

/// Reads a source file. Comments and items with the attribute `#[cfg(test)]` are left out.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let end = end_of_token(&chars, at);
        let text: String = chars[at..end].iter().collect();
        let lines = text.matches('\n').count();
        let is_comment = text.starts_with("//") || text.starts_with("/*");
        if !is_comment && !text.starts_with(char::is_whitespace) {
            tokens.push(Token { text, line });
        }
        line += lines;
        at = end;
    }
    without_tests(&tokens)
}

/// Whether a character may be part of a name or a number.
fn is_name(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn end_of_token(chars: &[char], at: usize) -> usize {
    if let Some(end) = end_of_raw_string(chars, at) {
        return end;
    }
    let end_of_name = |from: usize| {
        let length = chars[from..].iter().take_while(|char| is_name(**char));
        from + length.count()
    };
    match (chars[at], chars.get(at + 1)) {
        ('/', Some('/')) => after(chars, at, "\n"),
        ('/', Some('*')) => end_of_comment(chars, at),
        (':', Some(':')) => at + 2,
        ('"', _) => end_of_string(chars, at),
        ('\'', _) => end_of_quote(chars, at),
        ('$', Some(next)) if is_name(*next) => end_of_name(at + 1),
        (first, _) if is_name(first) => end_of_name(at),
        _ => at + 1,
    }
}

/// Returns the position after the next occurrence of a text, or the end.
fn after(chars: &[char], from: usize, text: &str) -> usize {
    let text: Vec<char> = text.chars().collect();
    let rest = chars.get(from..).unwrap_or_default();
    let found = rest.windows(text.len()).position(|window| window == text);
    found.map_or(chars.len(), |found| from + found + text.len())
}

/// Returns the end of a block comment, which may contain others.
fn end_of_comment(chars: &[char], at: usize) -> usize {
    let (mut depth, mut at) = (0, at);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    chars.len()
}

fn end_of_string(chars: &[char], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(char) = chars.get(at) {
        match char {
            '"' => return at + 1,
            '\\' => at += 2,
            _ => at += 1,
        }
    }
    chars.len()
}

/// Returns the end of the raw string that begins here, if one does.
fn end_of_raw_string(chars: &[char], at: usize) -> Option<usize> {
    let at = if chars[at] == 'b' { at + 1 } else { at };
    let rest = chars.get(at..)?.strip_prefix(&['r'])?;
    let hashes = rest.iter().take_while(|char| **char == '#').count();
    let end = format!("\"{}", "#".repeat(hashes));
    let is_string = rest.get(hashes) == Some(&'"');
    is_string.then(|| after(chars, at + hashes + 2, &end))
}

/// Returns the end of a character, or of the quote before the name of a lifetime.
fn end_of_quote(chars: &[char], at: usize) -> usize {
    if chars.get(at + 1) == Some(&'\\') {
        after(chars, at + 3, "'")
    } else if chars.get(at + 2) == Some(&'\'') {
        at + 3
    } else {
        at + 1
    }
}

/// Returns the position after the bracket that closes the one at `at`.
pub(super) fn end_of_group(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0_usize;
    for (position, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return position + 1;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

fn without_tests(tokens: &[Token]) -> Vec<Token> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0_usize;
    while let Some(token) = tokens.get(at) {
        let ahead = tokens[at..].iter().map(|token| token.text.as_str());
        if ahead.take(ATTRIBUTE.len()).eq(ATTRIBUTE) {
            at = end_of_item(tokens, at + ATTRIBUTE.len());
        } else {
            kept.push(token.clone());
            at += 1;
        }
    }
    kept
}

/// Returns the end of an item, a statement or a field.
fn end_of_item(tokens: &[Token], at: usize) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut at = at;
    while text(at) == "#" {
        at = end_of_group(tokens, at + 1);
    }
    if text(at) == "pub" {
        at += 1;
        if text(at) == "(" {
            at = end_of_group(tokens, at);
        }
    }
    let has_body = match text(at) {
        "const" => text(at + 1) == "fn",
        "async" | "enum" | "fn" | "impl" | "macro_rules" | "mod" | "struct" | "trait" => true,
        _ => false,
    };
    let ends_at_comma =
        !has_body && !matches!(text(at), "const" | "let" | "static" | "type" | "use");
    while at < tokens.len() {
        match text(at) {
            "{" if has_body => return end_of_group(tokens, at),
            "(" | "[" | "{" => at = end_of_group(tokens, at),
            ")" | "]" | "}" => return at,
            ";" => return at + 1,
            "," if ends_at_comma => return at + 1,
            _ => at += 1,
        }
    }
    at
}

#[test]
fn comments_literals_and_tests_are_left_out() {
    let source = r##"
        use a::b; // use c
        /* use d /* use e */ use f */
        const TEXT: &str = "use_g;\"use_h"; const RAW: &str = r#"use_"i_"#;
        fn quoted<'a>(text: &'a str) { '"' }
        #[cfg(test)]
        #[expect(unused)]
        pub(crate) mod tests { use j; }
        #[cfg(test)]
        use k::{l, m};
        struct Fields { #[cfg(test)] n: Vec<u8>, o: char }
        #[cfg(test)]
        mod p;
        use $crate::q;
    "##;
    let expected = r##"use a :: b ; const TEXT : & str = "use_g;\"use_h" ; const RAW : & str = r#"use_"i_"# ;
        fn quoted < ' a > ( text : & ' a str ) { '"' } struct Fields { o : char } use $crate :: q ;"##;
    let tokens = tokens(source);
    let texts: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
    assert_eq!(texts, expected.split_whitespace().collect::<Vec<_>>());
    assert_eq!(tokens.last().map(|token| token.line), Some(14));
}
