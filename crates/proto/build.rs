//! Compiles the contract. Pure Rust: no `protoc` is needed.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("../../proto");
    // The compiler does not report which files it read. Watching the folder also notices new files.
    println!(
        "cargo::rerun-if-changed={}",
        root.join("parlance").display()
    );

    let mut files = proto_files(&root.join("parlance/v1"))?;
    files.sort(); // the order of a directory listing is arbitrary; that of the descriptor set must be stable

    // Keeps imports and comments, so that server reflection shows the documentation.
    let descriptors = protox::compile(files, [root])?;
    #[expect(
        clippy::disallowed_methods,
        reason = "cargo passes the output directory of a build script in an environment variable"
    )]
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    fs::write(
        out.join("parlance_descriptor.bin"),
        descriptors.encode_to_vec(),
    )?;

    tonic_prost_build::configure()
        .bytes(".parlance.v1") // file contents are shared, not copied
        .compile_fds(descriptors)?;
    Ok(())
}

fn proto_files(folder: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            files.push(path);
        }
    }
    Ok(files)
}
