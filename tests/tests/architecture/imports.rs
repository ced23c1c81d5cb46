//! Imports between the modules of a crate, read from its source text.
//!
//! Only the tokens are read, so a name that a macro makes is not seen. Comments and items of tests are left out.

mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Formatter, Result};

use self::tokens::{Token, end_of_group, tokens};
use super::root;

/// Path of a module below the root of its crate.
pub(super) type ModulePath = Vec<String>;

/// Import of one module by another module of the crate. Files are named relative to the crate's `src`.
pub(super) struct Import {
    /// The module with the import.
    pub(super) from: ModulePath,
    /// The module that defines the imported item.
    pub(super) to: ModulePath,
    pub(super) from_file: String,
    pub(super) to_file: String,
    line: usize,
    /// The path as it is written.
    path: String,
}

impl Display for Import {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self {
            from_file,
            line,
            path,
            to_file,
            ..
        } = self;
        write!(f, "{from_file}:{line} imports {path} from {to_file}")
    }
}

/// Returns the text of a file of a crate.
type Source<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A path in the code of a module.
struct Mention {
    path: Vec<String>,
    line: usize,
}

/// Name that a `use` brings into a module.
struct Use {
    mention: Mention,
    /// The name in this module; `*` for all names.
    name: String,
    is_public: bool,
}

#[derive(Default)]
struct Module {
    file: String,
    children: BTreeSet<String>,
    items: BTreeSet<String>,
    uses: Vec<Use>,
    /// Paths outside of `use` declarations, such as `super::name::Item`.
    paths: Vec<Mention>,
    /// The words outside of `use` declarations.
    words: BTreeSet<String>,
}

/// The modules of a crate. One file may be several modules.
#[derive(Default)]
pub(super) struct Modules(BTreeMap<ModulePath, Module>);

/// How many re-exports a path may lead through.
const MAX_REEXPORTS: usize = 12;

impl Modules {
    /// Reads the modules of a crate below `crates/`.
    pub(super) fn of_crate(name: &str) -> Self {
        let folder = root().join("crates").join(name).join("src");
        let is_library = folder.join("lib.rs").exists();
        let file = if is_library { "lib.rs" } else { "main.rs" };
        Self::read(file, &|file: &str| {
            std::fs::read_to_string(folder.join(file)).ok()
        })
    }

    /// Reads the modules of a made-up crate, from its files with their texts.
    pub(super) fn of_files(files: &[(&str, &str)]) -> Self {
        let files: BTreeMap<&str, &str> = files.iter().copied().collect();
        Self::read("lib.rs", &|file: &str| {
            files.get(file).map(|text| (*text).to_owned())
        })
    }

    fn read(root: &str, source: Source<'_>) -> Self {
        let mut modules = Self::default();
        modules.add_file(ModulePath::new(), root, "", source);
        modules
    }

    /// Adds the module of a file, and the modules that it declares, which are in this folder.
    fn add_file(&mut self, path: ModulePath, file: &str, folder: &str, source: Source<'_>) {
        let text = source(file);
        assert!(text.is_some(), "{file} is declared and not found");
        let tokens = tokens(&text.unwrap_or_default());
        self.add(path, &tokens, file, folder, source);
    }

    /// Adds a module, and the modules that it declares.
    fn add(
        &mut self,
        path: ModulePath,
        tokens: &[Token],
        file: &str,
        folder: &str,
        source: Source<'_>,
    ) {
        let mut module = Module {
            file: file.to_owned(),
            ..Module::default()
        };
        let text = |at: usize| text_at(tokens, at);
        let mut attribute = None;
        let mut at = 0;
        while let Some(Token { text: word, .. }) = tokens.get(at) {
            let previous = at.checked_sub(1).map_or("", text);
            let (next, after) = (text(at + 1), text(at + 2));
            match word.as_str() {
                "path" if previous == "[" && next == "=" => {
                    attribute = Some(after.trim_matches('"'));
                    at += 3;
                }
                "mod" if after == "{" => {
                    module.children.insert(next.to_owned());
                    let end = end_of_group(tokens, at + 2);
                    let inner = tokens.get(at + 3..end - 1).unwrap_or_default();
                    let child = child_of(&path, next);
                    self.add(child, inner, file, &join(folder, next), source);
                    at = end;
                }
                "mod" if after == ";" => {
                    module.children.insert(next.to_owned());
                    let child = child_of(&path, next);
                    let below = join(folder, next);
                    if let Some(attribute) = attribute.take() {
                        let file = join(parent(file), attribute);
                        self.add_file(child, &file, parent(&file), source);
                    } else if source(&format!("{below}.rs")).is_some() {
                        self.add_file(child, &format!("{below}.rs"), &below, source);
                    } else {
                        self.add_file(child, &format!("{below}/mod.rs"), &below, source);
                    }
                    at += 3;
                }
                // Not `use<'a>` of a type.
                "use" if next != "<" => {
                    let is_public = matches!(previous, "pub" | ")");
                    at = read_use(tokens, at + 1, &[], is_public, &mut module.uses);
                }
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union" => {
                    module.items.insert(next.to_owned());
                    at += 1;
                }
                "macro_rules" => {
                    module.items.insert(after.to_owned());
                    at += 1;
                }
                word if is_name(word) => {
                    module.words.insert(word.to_owned());
                    if next == "::" && previous != "::" {
                        module.paths.push(mention_at(tokens, at));
                    }
                    at += 1;
                }
                _ => at += 1,
            }
        }
        self.0.insert(path, module);
    }

    /// The files of the crate.
    pub(super) fn files(&self) -> BTreeSet<&str> {
        self.0.values().map(|module| module.file.as_str()).collect()
    }

    /// The imports between the modules of the crate.
    pub(super) fn imports(&self) -> Vec<Import> {
        let mut imports = Vec::new();
        for (from, module) in &self.0 {
            let uses = module.uses.iter();
            let imported = uses
                .filter(|one| self.is_import(from, module, one))
                .map(|one| (&one.mention, one.name == "*"));
            let paths = module.paths.iter().map(|mention| (mention, false));
            for (mention, is_glob) in imported.chain(paths) {
                let found = self.resolve(from, &mention.path, MAX_REEXPORTS);
                let Some((to, item)) = found else {
                    continue;
                };
                // The path of an enclosing module without an item names no code of it.
                let names_code = is_glob || item.is_some() || !from.starts_with(&to);
                if to == *from || !names_code {
                    continue;
                }
                let path = mention.path.join("::");
                imports.push(Import {
                    from: from.clone(),
                    from_file: module.file.clone(),
                    to_file: self.0[&to].file.clone(),
                    to,
                    line: mention.line,
                    path: if is_glob { path + "::*" } else { path },
                });
            }
        }
        imports
    }

    /// Whether a `use` counts as an import. A re-export of a descendant does only if the module's own code uses the type.
    fn is_import(&self, from: &[String], module: &Module, one: &Use) -> bool {
        let is_type = one.name.starts_with(char::is_uppercase);
        if !one.is_public || (is_type && module.words.contains(&one.name)) {
            return true;
        }
        let found = self.resolve(from, &one.mention.path, MAX_REEXPORTS);
        found.is_some_and(|(to, _)| !to.starts_with(from))
    }

    /// The module that defines what a path names in a module, and the item; `None` for another crate.
    fn resolve(
        &self,
        from: &[String],
        path: &[String],
        left: usize,
    ) -> Option<(ModulePath, Option<String>)> {
        let left = left.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        let module = self.0.get(from)?;
        match first.as_str() {
            "crate" | "$crate" => self.walk(ModulePath::new(), rest, left),
            "self" => self.walk(from.to_vec(), rest, left),
            "super" => {
                let ups = path.iter().take_while(|part| *part == "super").count();
                let kept = from.len().checked_sub(ups)?;
                self.walk(from[..kept].to_vec(), &path[ups..], left)
            }
            name if module.children.contains(name) => self.walk(from.to_vec(), path, left),
            name => {
                // A name that another `use` of the module brought in, such as `keys` in `keys::message`.
                let mut uses = module.uses.iter();
                let found = uses.find(|one| one.name == name && one.mention.path != path)?;
                let path = [found.mention.path.as_slice(), rest].concat();
                self.resolve(from, &path, left)
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
            let path = [found.mention.path.as_slice(), rest].concat();
            return self.resolve(&at, &path, left);
        }
        let mut globs = module.uses.iter().filter(|one| one.name == "*");
        let found = globs.find_map(|one| {
            let path = [one.mention.path.as_slice(), path].concat();
            let (to, item) = self.resolve(&at, &path, left)?;
            let is_defined = self.0[&to].items.contains(item.as_ref()?);
            is_defined.then_some((to, item))
        });
        // A macro defines it, which is not read.
        found.or_else(|| Some((at, Some(name.clone()))))
    }
}

fn child_of(path: &[String], name: &str) -> ModulePath {
    let mut child = path.to_vec();
    child.push(name.to_owned());
    child
}

/// The folder of a file.
fn parent(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Joins a folder and a relative path, which may contain `..`.
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

/// The text of a token, empty after the last one.
fn text_at(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |token| token.text.as_str())
}

/// Whether a token is a name or a keyword.
fn is_name(token: &str) -> bool {
    let mut characters = token.chars();
    let is_first = |first: char| first.is_alphabetic() || first == '_' || first == '$';
    characters.next().is_some_and(is_first) && token != "$"
}

/// The path that begins at this token.
fn mention_at(tokens: &[Token], start: usize) -> Mention {
    let mut path = vec![tokens[start].text.clone()];
    let mut at = start + 1;
    while text_at(tokens, at) == "::" && is_name(text_at(tokens, at + 1)) {
        path.push(text_at(tokens, at + 1).to_owned());
        at += 2;
    }
    let line = tokens[start].line;
    Mention { path, line }
}

/// Reads a tree of a `use` declaration; returns the position after it.
fn read_use(
    tokens: &[Token],
    start: usize,
    prefix: &[String],
    is_public: bool,
    uses: &mut Vec<Use>,
) -> usize {
    let mut path = prefix.to_vec();
    let mut at = start;
    while let Some(Token { text: word, line }) = tokens.get(at) {
        at += 1;
        match word.as_str() {
            "::" => {}
            "{" => {
                while at < tokens.len() && text_at(tokens, at) != "}" {
                    at = read_use(tokens, at, &path, is_public, uses);
                    if text_at(tokens, at) == "," {
                        at += 1;
                    }
                }
                return at + 1;
            }
            word if word == "*" || is_name(word) => {
                // Both `{self}` and `*` stand for the module before them.
                if word != "*" && (word != "self" || path.is_empty()) {
                    path.push(word.to_owned());
                }
                if text_at(tokens, at) == "::" {
                    continue;
                }
                let mut name = if word == "*" {
                    word
                } else {
                    path.last().map_or("", String::as_str)
                };
                if text_at(tokens, at) == "as" {
                    name = text_at(tokens, at + 1);
                    at += 2;
                }
                uses.push(Use {
                    name: name.to_owned(),
                    mention: Mention { path, line: *line },
                    is_public,
                });
                return at;
            }
            // No valid `use` leads here.
            _ => return at,
        }
    }
    at
}

#[test]
fn every_form_of_an_import_is_found() {
    let modules = Modules::of_files(&[
        (
            "lib.rs",
            "mod a; mod b; #[path = \"other/c.rs\"] pub(crate) mod c; pub use b::Public; pub use std::fmt;",
        ),
        (
            "a.rs",
            "mod inner;
            use crate::b::{self, Private as Renamed, deep::*};
            use crate::{Public, fmt, c};
            mod inline { use super::super::b; }
            fn f() -> Vec::<u8> { super::c::f(inner::g()); std::mem::drop(1); }
            macro_rules! m { () => { $crate::c::h() }; }
            #[derive(b::Derive)] struct Derived;
            #[cfg(test)] mod tests { use crate::c::OnlyTests; }",
        ),
        (
            "a/inner.rs",
            "use super::f; // use crate::c;
            use super::*;",
        ),
        ("b/mod.rs", "pub mod deep; pub struct Public;"),
        ("b/deep.rs", ""),
        ("other/c.rs", "mod d;"),
        ("other/d.rs", "use super::super::a;"),
    ]);
    let files: Vec<&str> = modules.files().into_iter().collect();
    let expected = [
        "a.rs",
        "a/inner.rs",
        "b/deep.rs",
        "b/mod.rs",
        "lib.rs",
        "other/c.rs",
        "other/d.rs",
    ];
    assert_eq!(files, expected);
    let imports = modules.imports();
    let found: BTreeSet<String> = imports.iter().map(ToString::to_string).collect();
    let found: Vec<String> = found.into_iter().collect();
    assert_eq!(
        found,
        [
            "a.rs:2 imports crate::b from b/mod.rs",
            "a.rs:2 imports crate::b::Private from b/mod.rs",
            "a.rs:2 imports crate::b::deep::* from b/deep.rs",
            "a.rs:3 imports crate::Public from b/mod.rs",
            "a.rs:3 imports crate::c from other/c.rs",
            "a.rs:4 imports super::super::b from b/mod.rs",
            "a.rs:5 imports inner::g from a/inner.rs",
            "a.rs:5 imports super::c::f from other/c.rs",
            "a.rs:6 imports $crate::c::h from other/c.rs",
            "a.rs:7 imports b::Derive from b/mod.rs",
            "a/inner.rs:1 imports super::f from a.rs",
            "a/inner.rs:2 imports super::* from a.rs",
            "other/d.rs:1 imports super::super::a from a.rs",
        ]
    );
}
