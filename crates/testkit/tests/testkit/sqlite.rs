use parlance_testkit::SqliteFile;

#[test]
fn every_file_has_its_own_directory_that_is_removed_with_it() {
    let (one, other) = (SqliteFile::new(), SqliteFile::new());
    assert_ne!(one.path(), other.path());
    assert_eq!(one.url(), format!("sqlite://{}", one.path().display()));
    std::fs::write(one.path(), "a database").unwrap();
    let dir = one.path().parent().unwrap().to_owned();
    drop(one);
    assert!(!dir.exists());
    assert!(other.path().parent().unwrap().exists());
}
