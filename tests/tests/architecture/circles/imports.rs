//! Imports between the modules of a crate, read from its source text.
//!
//! Only the tokens are read, so a name that a macro makes is not seen. Comments, literals and code of tests are left out.

use std::collections::{BTreeMap, BTreeSet};

/// Path of a module below the root of its crate.
pub(super) type ModulePath = Vec<String>;

/// Import of an item by a module, both of one crate.
pub(super) struct Import {
    /// The module with the import.
    pub(super) from: ModulePath,
    /// The module that defines the item.
    pub(super) to: ModulePath,
    /// The item, unless the module itself is imported.
    pub(super) item: Option<String>,
}

/// Name that a `use` brings into a module.
struct Use {
    path: Vec<String>,
    /// The name in this module; `*` for all names.
    name: String,
    is_public: bool,
}

#[derive(Default)]
struct Module {
    children: BTreeSet<String>,
    items: BTreeSet<String>,
    uses: Vec<Use>,
    /// Paths in the code, such as `super::name::Item`.
    paths: Vec<Vec<String>>,
    /// How often each word stands in the code.
    words: BTreeMap<String, usize>,
}

/// The modules of a crate.
#[derive(Default)]
pub(super) struct Modules(BTreeMap<ModulePath, Module>);

/// Re-exports that are followed from one name at most.
const MAX_REEXPORTS: usize = 12;

impl Modules {
    /// Reads the modules from the text of each file. The text of the root has the empty path.
    pub(super) fn parse(files: &BTreeMap<ModulePath, String>) -> Self {
        let mut modules = Self::default();
        if let Some(root) = files.get(&ModulePath::new()) {
            modules.add(&ModulePath::new(), &product_tokens(root), files);
        }
        modules
    }

    /// Adds a module, and the modules that it declares.
    fn add(&mut self, path: &ModulePath, tokens: &[String], files: &BTreeMap<ModulePath, String>) {
        let mut module = Module::default();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let next = word_at(tokens, at + 1);
            let previous = at.checked_sub(1).and_then(|before| word_at(tokens, before));
            match token.as_str() {
                "mod" if word_at(tokens, at + 2) == Some("{") => {
                    let child = child_of(path, next.unwrap_or_default());
                    module.children.extend(child.last().cloned());
                    let end = closing(tokens, at + 2);
                    self.add(&child, &tokens[at + 3..end], files);
                    at = end;
                }
                "mod" if word_at(tokens, at + 2) == Some(";") => {
                    let child = child_of(path, next.unwrap_or_default());
                    if let Some(text) = files.get(&child) {
                        module.children.extend(child.last().cloned());
                        self.add(&child, &product_tokens(text), files);
                    }
                    at += 2;
                }
                "use" if next != Some("<") => {
                    let is_public = matches!(previous, Some("pub" | ")"));
                    at += module.add_uses(&tokens[at + 1..], is_public);
                }
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union" => {
                    module.items.extend(next.map(str::to_owned));
                }
                "macro_rules" => {
                    let name = word_at(tokens, at + 2);
                    module.items.extend(name.map(str::to_owned));
                }
                word if is_word(word) => {
                    *module.words.entry(word.to_owned()).or_default() += 1;
                    if next == Some("::") && previous != Some("::") {
                        module.paths.push(path_at(tokens, at));
                    }
                }
                _ => {}
            }
            at += 1;
        }
        self.0.insert(path.clone(), module);
    }

    /// All imports from one module of the crate by another one. A re-export of a child by its parent counts only if the
    /// parent's own code uses the type.
    pub(super) fn imports(&self) -> Vec<Import> {
        let mut imports = Vec::new();
        for (from, module) in &self.0 {
            let used = module.uses.iter().filter(|one| {
                let is_type = one.name.starts_with(char::is_uppercase);
                !one.is_public || (is_type && module.words.contains_key(&one.name))
            });
            let facade = module.uses.iter().filter(|one| one.is_public);
            let outside = facade.filter_map(|one| {
                let (to, _) = self.resolve(from, &one.path, MAX_REEXPORTS)?;
                (!to.starts_with(from)).then_some(&one.path)
            });
            let paths = module.paths.iter();
            for path in used.map(|one| &one.path).chain(outside).chain(paths) {
                let Some((to, item)) = self.resolve(from, path, MAX_REEXPORTS) else {
                    continue;
                };
                // The path of a module without an item names no code of it.
                if to != *from && (item.is_some() || !from.starts_with(&to)) {
                    let from = from.clone();
                    imports.push(Import { from, to, item });
                }
            }
        }
        imports
    }

    /// The module that defines what a path names in a module, and the item; `None` for another crate.
    fn resolve(
        &self,
        from: &ModulePath,
        path: &[String],
        left: usize,
    ) -> Option<(ModulePath, Option<String>)> {
        let left = left.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        let module = self.0.get(from)?;
        match first.as_str() {
            "crate" => self.walk(ModulePath::new(), rest, left),
            "self" => self.walk(from.clone(), rest, left),
            "super" => {
                let ups = path.iter().take_while(|part| *part == "super").count();
                let kept = from.len().checked_sub(ups)?;
                self.walk(from[..kept].to_vec(), &path[ups..], left)
            }
            name if module.children.contains(name) => self.walk(from.clone(), path, left),
            name => {
                // A name that another `use` of the module brought in, such as `keys` in `keys::message`.
                let mut uses = module.uses.iter();
                let found = uses.find(|one| one.name == name && one.path != path)?;
                self.resolve(from, &[found.path.as_slice(), rest].concat(), left)
            }
        }
    }

    /// Follows a path downwards from a module, and through re-exports.
    fn walk(
        &self,
        at: ModulePath,
        path: &[String],
        left: usize,
    ) -> Option<(ModulePath, Option<String>)> {
        let Some((name, rest)) = path.split_first() else {
            return Some((at, None));
        };
        let module = self.0.get(&at)?;
        if module.children.contains(name) {
            return self.walk(child_of(&at, name), rest, left);
        }
        if module.items.contains(name) {
            return Some((at, Some(name.clone())));
        }
        if let Some(found) = module.uses.iter().find(|one| one.name == *name) {
            return self.resolve(&at, &[found.path.as_slice(), rest].concat(), left);
        }
        let mut all = module.uses.iter().filter(|one| one.name == "*");
        let found = all.find_map(|one| {
            let found = self.resolve(&at, &[one.path.as_slice(), path].concat(), left)?;
            let (to, item) = &found;
            let defines = item
                .as_ref()
                .is_some_and(|item| self.0[to].items.contains(item));
            defines.then_some(found)
        });
        // A macro defines it, which is not read.
        found.or_else(|| Some((at, Some(name.clone()))))
    }
}

impl Module {
    /// Adds the names of a `use`, from the token after it; returns how many tokens it has.
    fn add_uses(&mut self, tokens: &[String], is_public: bool) -> usize {
        let mut found = Vec::new();
        let length = use_tree(tokens, &[], &mut found);
        let uses = found.into_iter().map(|(path, name)| Use {
            path,
            name,
            is_public,
        });
        self.uses.extend(uses);
        length
    }
}

/// Reads a tree of paths with the names that they are imported under; returns how many tokens it has.
fn use_tree(tokens: &[String], prefix: &[String], found: &mut Vec<(Vec<String>, String)>) -> usize {
    let mut path = prefix.to_vec();
    let mut at = 0;
    loop {
        match word_at(tokens, at) {
            Some("::") => at += 1,
            Some("*") => {
                found.push((path, "*".to_owned()));
                return at + 1;
            }
            Some("{") => {
                at += 1;
                while word_at(tokens, at).is_some_and(|token| token != "}") {
                    at += use_tree(&tokens[at..], &path, found);
                    if word_at(tokens, at) == Some(",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            Some(word) if is_word(word) => {
                path.push(word.to_owned());
                at += 1;
                if word_at(tokens, at) == Some("::") {
                    continue;
                }
                if word == "self" {
                    path.pop();
                }
                let mut name = path.last().cloned().unwrap_or_default();
                if word_at(tokens, at) == Some("as") {
                    name = word_at(tokens, at + 1).unwrap_or_default().to_owned();
                    at += 2;
                }
                found.push((path, name));
                return at;
            }
            // No valid `use` leads here; at least one token is consumed, so that reading ends.
            _ => return at.max(1),
        }
    }
}

fn child_of(path: &ModulePath, name: &str) -> ModulePath {
    let mut child = path.clone();
    child.push(name.to_owned());
    child
}

fn word_at(tokens: &[String], at: usize) -> Option<&str> {
    tokens.get(at).map(String::as_str)
}

fn is_word(token: &str) -> bool {
    token.starts_with(is_word_character)
}

fn is_word_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The path that begins at this word.
fn path_at(tokens: &[String], start: usize) -> Vec<String> {
    let mut path = vec![tokens[start].clone()];
    let mut at = start + 1;
    while word_at(tokens, at) == Some("::") {
        let Some(part) = tokens.get(at + 1).filter(|part| is_word(part)) else {
            break;
        };
        path.push(part.clone());
        at += 2;
    }
    path
}

/// Index of the token that closes the bracket at this index.
fn closing(tokens: &[String], opening: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(opening) {
        match token.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

/// The tokens of the product: without attributes, and without items that only tests have.
fn product_tokens(source: &str) -> Vec<String> {
    let all = tokens(source);
    let mut kept = Vec::with_capacity(all.len());
    let mut at = 0;
    while let Some(token) = all.get(at) {
        if token == "#" && word_at(&all, at + 1) == Some("[") {
            let end = closing(&all, at + 1).min(all.len());
            let attribute = &all[at + 2..end];
            at = end + 1;
            if is_for_tests(attribute) {
                at = end_of_item(&all, at);
            }
            continue;
        }
        kept.push(token.clone());
        at += 1;
    }
    kept
}

/// Whether an attribute is a `cfg` that only tests satisfy.
fn is_for_tests(attribute: &[String]) -> bool {
    let has = |word: &str| attribute.iter().any(|token| token == word);
    word_at(attribute, 0) == Some("cfg") && has("test") && !has("not")
}

/// Index after the item, field or statement that begins here.
fn end_of_item(tokens: &[String], start: usize) -> usize {
    let mut at = start;
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            ";" | "," => return at + 1,
            "(" | "[" => at = closing(tokens, at),
            "{" => {
                let end = closing(tokens, at);
                let is_use = word_at(tokens, end + 1) == Some(";");
                return end + 1 + usize::from(is_use);
            }
            ")" | "]" | "}" => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

/// Splits source text into words, `::` and single other characters, without comments and literals.
fn tokens(source: &str) -> Vec<String> {
    let characters: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&first) = characters.get(at) {
        let rest = &characters[at..];
        let skipped = skipped(rest);
        if skipped > 0 {
            at += skipped;
            continue;
        }
        let length = if is_word_character(first) {
            let word = rest.iter().take_while(|one| is_word_character(**one));
            word.count()
        } else if rest.starts_with(&[':', ':']) {
            2
        } else {
            1
        };
        if !first.is_whitespace() {
            tokens.push(rest[..length].iter().collect());
        }
        at += length;
    }
    tokens
}

/// Length of the comment or literal that the text begins with; 0 if it begins with neither.
fn skipped(rest: &[char]) -> usize {
    match rest {
        ['/', '/', ..] => rest.iter().take_while(|one| **one != '\n').count(),
        ['/', '*', ..] => block_comment(rest),
        ['"', ..] => quoted(rest, '"'),
        ['b' | 'c', '"', ..] => 1 + quoted(&rest[1..], '"'),
        ['b', '\'', ..] => 1 + quoted(&rest[1..], '\''),
        ['r', '"' | '#', ..] => raw_string(rest, 1),
        ['b', 'r', '"' | '#', ..] => raw_string(rest, 2),
        ['\'', '\\', ..] => quoted(rest, '\''),
        // One character in quotes; anything else is a lifetime.
        ['\'', _, '\'', ..] => 3,
        _ => 0,
    }
}

fn block_comment(rest: &[char]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(&['/', '*']) {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(&['*', '/']) {
            depth = depth.saturating_sub(1);
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// Length of a literal in quotes.
fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while let Some(&character) = rest.get(at) {
        if character == '\\' {
            at += 2;
        } else if character == quote {
            return at + 1;
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// Length of a raw string with a prefix of this length; 0 for a raw word such as `r#type`.
fn raw_string(rest: &[char], prefix: usize) -> usize {
    let marks = rest[prefix..].iter().take_while(|one| **one == '#').count();
    if rest.get(prefix + marks) != Some(&'"') {
        return 0;
    }
    let mut end = vec!['"'];
    end.resize(1 + marks, '#');
    let begin = prefix + marks + 1;
    let text = &rest[begin..];
    let found = text.windows(end.len()).position(|part| part == end);
    found.map_or(rest.len(), |at| begin + at + end.len())
}
