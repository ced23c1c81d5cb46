//! The modules of a crate, and what they import from one another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Formatter, Result};

use super::tokens::{Token, end_of_group, tokens};

/// An import of one file by another. Files are named relative to the crate's `src`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Import {
    pub(super) from: String,
    pub(super) line: usize,
    /// The path as it is written.
    pub(super) path: String,
    pub(super) to: String,
}

impl Display for Import {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self {
            from,
            line,
            path,
            to,
        } = self;
        write!(f, "{from}:{line} imports {path} from {to}")
    }
}

/// Returns the text of a file.
pub(super) type Source<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The modules by their paths. One file may be several modules.
pub(super) struct Modules(BTreeMap<Vec<String>, Module>);

#[derive(Default)]
struct Module {
    file: String,
    children: BTreeSet<String>,
    /// What `use` declarations bring into scope, by name.
    names: BTreeMap<String, Vec<String>>,
    mentions: Vec<Mention>,
}

/// A path in the code of a module.
struct Mention {
    path: Vec<String>,
    line: usize,
    is_reexport: bool,
    /// Number of modules within the file that it is in.
    inline: usize,
}

/// One name of a `use` declaration.
struct Used {
    path: Vec<String>,
    name: String,
    line: usize,
}

/// A child module, and the value of its `#[path]`.
type Declaration = (String, Option<String>);

/// The path of the crate itself.
const ROOT: &[String] = &[];
/// How many re-exports a path may lead through.
const MAX_REEXPORTS: usize = 8;

impl Modules {
    /// Reads all modules of a crate, beginning with its root file.
    pub(super) fn read(root: &str, source: Source<'_>) -> Self {
        let mut modules = Self(BTreeMap::new());
        modules.add(ROOT, root, "", source);
        modules
    }

    fn add(&mut self, path: &[String], file: &str, folder: &str, source: Source<'_>) {
        let text = source(file);
        assert!(text.is_some(), "{file} is declared and not found");
        let (mut module, declarations) = parse(&tokens(&text.unwrap_or_default()));
        file.clone_into(&mut module.file);
        self.0.insert(path.to_vec(), module);
        for (name, attribute) in declarations {
            let mut below = join(folder, &name);
            let mut child = format!("{below}.rs");
            if let Some(attribute) = attribute {
                child = join(parent(file), &attribute);
                parent(&child).clone_into(&mut below);
            } else if source(&child).is_none() {
                child = format!("{below}/mod.rs");
            }
            let mut path = path.to_vec();
            path.push(name);
            self.add(&path, &child, &below, source);
        }
    }

    /// The files of the crate.
    pub(super) fn files(&self) -> BTreeSet<&str> {
        self.0.values().map(|module| module.file.as_str()).collect()
    }

    /// The imports between files. Declarations of child modules, and re-exports of what these contain, are not among
    /// them.
    pub(super) fn imports(&self) -> BTreeSet<Import> {
        let mut imports = BTreeSet::new();
        for (path, module) in &self.0 {
            for mention in &module.mentions {
                let Some(target) = self.target(path, mention) else {
                    continue;
                };
                let to = self.0.get(&target).map_or("", |to| to.file.as_str());
                let is_reexport = mention.is_reexport && target.starts_with(path);
                if to != module.file && !is_reexport {
                    imports.insert(Import {
                        from: module.file.clone(),
                        line: mention.line,
                        path: mention.path.join("::"),
                        to: to.to_owned(),
                    });
                }
            }
        }
        imports
    }

    /// Returns the module that a path leads to; `None` if that is in another crate.
    fn target(&self, module: &[String], mention: &Mention) -> Option<Vec<String>> {
        let (base, path) = self.absolute(module, &mention.path, mention.inline)?;
        self.resolve(base, path, 0)
    }

    /// Splits a path into the module that it starts from and the rest.
    fn absolute<'a>(
        &self,
        module: &'a [String],
        path: &'a [String],
        inline: usize,
    ) -> Option<(&'a [String], &'a [String])> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" | "$crate" => Some((ROOT, rest)),
            "self" => Some((module, rest)),
            "super" => {
                let supers = path.iter().take_while(|name| *name == "super").count();
                let up = supers.saturating_sub(inline);
                let base = module.get(..module.len().checked_sub(up)?)?;
                Some((base, path.get(supers..)?))
            }
            child => {
                let is_child = self.0.get(module)?.children.contains(child);
                is_child.then_some((module, path))
            }
        }
    }

    fn resolve(&self, base: &[String], path: &[String], reexports: usize) -> Option<Vec<String>> {
        let mut at = base.to_vec();
        for (position, name) in path.iter().enumerate() {
            let module = self.0.get(&at)?;
            if module.children.contains(name) {
                at.push(name.clone());
                continue;
            }
            let Some(imported) = module.names.get(name) else {
                break;
            };
            if reexports == MAX_REEXPORTS {
                break;
            }
            let (base, rest) = self.absolute(&at, imported, 0)?;
            let later = path.get(position + 1..)?;
            return self.resolve(base, &[rest, later].concat(), reexports + 1);
        }
        Some(at)
    }
}

fn parent(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

/// Whether a token is a name or a keyword.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_' || first == '$')
}

fn parse(tokens: &[Token]) -> (Module, Vec<Declaration>) {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let before = |at: usize| at.checked_sub(1).map_or("", text);
    let (mut module, mut declarations) = (Module::default(), Vec::new());
    let mut attribute: Option<String> = None;
    // The ends of the inline modules that enclose the token.
    let mut inline: Vec<usize> = Vec::new();
    let mut at = 0_usize;
    while let Some(Token { text: word, line }) = tokens.get(at) {
        inline.retain(|end| at < *end);
        match word.as_str() {
            "path" if before(at) == "[" && text(at + 1) == "=" => {
                attribute = Some(text(at + 2).trim_matches('"').to_owned());
                at += 3;
            }
            "mod" if text(at + 2) == ";" => {
                let name = text(at + 1).to_owned();
                module.children.insert(name.clone());
                declarations.push((name, attribute.take()));
                at += 3;
            }
            "mod" if text(at + 2) == "{" => {
                inline.push(end_of_group(tokens, at + 2));
                at += 3;
            }
            // Not `use<'a>` of a type.
            "use" if text(at + 1) != "<" => {
                let restricted = at.checked_sub(4).map_or("", text) == "pub" && before(at) == ")";
                let is_reexport = restricted || before(at) == "pub";
                let mut used = Vec::new();
                at = read_use(tokens, at + 1, &[], &mut used);
                for Used { path, name, line } in used {
                    module.names.insert(name, path.clone());
                    module.mentions.push(Mention {
                        path,
                        line,
                        is_reexport,
                        inline: inline.len(),
                    });
                }
            }
            _ if is_name(word) && text(at + 1) == "::" && before(at) != "::" => {
                let mut path = vec![word.clone()];
                at += 1;
                while text(at) == "::" && is_name(text(at + 1)) {
                    path.push(text(at + 1).to_owned());
                    at += 2;
                }
                module.mentions.push(Mention {
                    path,
                    line: *line,
                    is_reexport: false,
                    inline: inline.len(),
                });
            }
            _ => at += 1,
        }
    }
    (module, declarations)
}

/// Reads a tree of a `use` declaration; returns the position after it.
fn read_use(tokens: &[Token], at: usize, prefix: &[String], used: &mut Vec<Used>) -> usize {
    let is = |at: usize, text: &str| tokens.get(at).is_some_and(|token| token.text == text);
    let (mut at, mut path) = (at, prefix.to_vec());
    while let Some(Token { text, line }) = tokens.get(at) {
        match text.as_str() {
            "{" => {
                at += 1;
                while at < tokens.len() && !is(at, "}") {
                    at = read_use(tokens, at, &path, used);
                    if is(at, ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "::" => at += 1,
            word => {
                at += 1;
                // Both `{self}` and `*` stand for the module before them.
                if word != "*" && (word != "self" || path.is_empty()) {
                    path.push(word.to_owned());
                }
                if is(at, "::") {
                    continue;
                }
                let renamed = is(at, "as");
                let name = if renamed {
                    tokens.get(at + 1).map_or("", |token| token.text.as_str())
                } else if word == "*" {
                    word
                } else {
                    path.last().map_or("", String::as_str)
                };
                used.push(Used {
                    name: name.to_owned(),
                    path: path.clone(),
                    line: *line,
                });
                return if renamed { at + 2 } else { at };
            }
        }
    }
    at
}
