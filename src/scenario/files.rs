//! Where scenario files are.

use std::fs::DirEntry;
use std::path::{Path, PathBuf};

/// The scenario files (`*.toml`) in a directory and in those below it. Sorted by name, a directory's files where its
/// name stands.
pub fn files_below(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut entries = directory.read_dir()?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(DirEntry::file_name);
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_a_stable_order() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(place.path().join("m/empty")).unwrap();
        for name in ["z.toml", "m/2.toml", "m/1.toml", "m/note.md", "a.toml", "toml"] {
            std::fs::write(place.path().join(name), "").unwrap();
        }
        let files = files_below(place.path()).unwrap();
        let names: Vec<_> =
            files.iter().map(|file| file.strip_prefix(place.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.toml", "m/1.toml", "m/2.toml", "z.toml"]);
    }
}
