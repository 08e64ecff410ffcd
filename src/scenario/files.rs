//! Where scenario files are, and which files are read: regular ones of a stated size, in places that the user allowed.

use std::collections::BTreeSet;
use std::fs::{DirEntry, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The largest file that is read, of scenarios and of SQL.
pub const FILE_BYTES_MAX: u64 = 8 << 20;

/// Where the files are that a scenario may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAccess {
    /// In the scenario's directory and below it. Links are followed first: what counts is where they lead.
    Below,
    /// Anywhere.
    Anywhere,
}

/// Why a file is not read. The text goes on a sentence that names the file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is not a regular file: to read it could take for ever, or do something.
    #[error("it is {0}; only regular files are read: copy what it gives into one")]
    NotRegular(&'static str),
    /// It is too large.
    #[error("it has {0} bytes, and at most {FILE_BYTES_MAX} (8 MiB) are read: make it smaller")]
    TooLarge(u64),
    /// It states another size than it has, as files of `/proc` do.
    #[error("it states a size of {0} bytes and holds more: copy it to a regular file")]
    Unstated(u64),
    /// It is not below the scenario's directory.
    #[error(
        "it is {}outside the scenario's directory: move it there, or allow it with `--allow-outside`",
        if *is_link { "a link to a file " } else { "" }
    )]
    Outside {
        /// Whether only a link in its path leads outside.
        is_link: bool,
    },
}

/// What is in a regular file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let found = std::fs::metadata(path)?;
    let kind = found.file_type();
    let other = [
        (kind.is_dir(), "a directory"),
        (kind.is_fifo(), "a pipe (FIFO)"),
        (kind.is_socket(), "a socket"),
        (kind.is_char_device() || kind.is_block_device(), "a device"),
        (!kind.is_file(), "not a regular file"),
    ];
    if let Some((_, other)) = other.into_iter().find(|(is, _)| *is) {
        return Err(FileError::NotRegular(other));
    }
    let size = found.len();
    if size > FILE_BYTES_MAX {
        return Err(FileError::TooLarge(size));
    }
    // Some files of `/proc` call themselves regular, and block whoever reads them.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file: File = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    let mut bytes = Vec::new();
    file.take(size + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > size {
        return Err(FileError::Unstated(size));
    }
    Ok(bytes)
}

/// What is in a file that a scenario in `directory` calls `name`.
pub(super) fn read_named(directory: &Path, name: &str, access: FileAccess) -> Result<Vec<u8>, FileError> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let path = directory.join(name);
    if access == FileAccess::Below {
        let real = path.canonicalize()?;
        if !real.starts_with(directory.canonicalize()?) {
            let climbs = Path::new(name).components().any(|part| part == std::path::Component::ParentDir);
            return Err(FileError::Outside { is_link: !climbs && !Path::new(name).is_absolute() });
        }
    }
    read(&path)
}

/// The scenario files (`*.toml`) in a directory and in those below it. Sorted by name, a directory's files where its
/// name stands. A directory that links lead back to is looked through once.
pub fn files_below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(directory, &mut BTreeSet::new(), &mut files)?;
    Ok(files)
}

fn collect(directory: &Path, seen: &mut BTreeSet<PathBuf>, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !seen.insert(directory.canonicalize()?) {
        return Ok(());
    }
    let mut entries = directory.read_dir()?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, seen, files)?;
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_are_found_in_a_stable_order() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(place.path().join("m/empty")).unwrap();
        for name in ["z.toml", "m/2.toml", "m/1.toml", "m/note.md", "a.toml", "toml"] {
            std::fs::write(place.path().join(name), "").unwrap();
        }
        // Directories that hold each other twice would be 2^40 paths.
        symlink("..", place.path().join("m/up")).unwrap();
        symlink("..", place.path().join("m/above")).unwrap();
        let files = files_below(place.path()).unwrap();
        let names: Vec<_> =
            files.iter().map(|file| file.strip_prefix(place.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.toml", "m/1.toml", "m/2.toml", "z.toml"]);
    }

    #[test]
    fn only_regular_files_of_their_stated_size_are_read() {
        let place = tempfile::tempdir().unwrap();
        let fifo = place.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        let large = place.path().join("large");
        File::create(&large).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        let error = |path: &Path| read(path).unwrap_err().to_string();
        assert!(error(&fifo).starts_with("it is a pipe (FIFO); only regular files"), "{}", error(&fifo));
        assert!(error(place.path()).starts_with("it is a directory"));
        assert!(error(Path::new("/dev/zero")).starts_with("it is a device"));
        assert!(error(Path::new("/proc/self/status")).starts_with("it states a size of 0 bytes and holds more"));
        assert!(error(&large).starts_with("it has 8388609 bytes, and at most 8388608"), "{}", error(&large));
        File::options().write(true).open(&large).unwrap().set_len(FILE_BYTES_MAX).unwrap();
        assert_eq!(read(&large).unwrap().len() as u64, FILE_BYTES_MAX);
    }

    #[test]
    fn files_outside_the_directory_are_read_only_if_that_is_allowed() {
        let place = tempfile::tempdir().unwrap();
        let inside = place.path().join("scenarios");
        std::fs::create_dir_all(inside.join("sql")).unwrap();
        std::fs::write(place.path().join("secret"), "s").unwrap();
        std::fs::write(inside.join("sql/a.sql"), "a").unwrap();
        symlink("../secret", inside.join("link.sql")).unwrap();
        symlink("sql/a.sql", inside.join("own.sql")).unwrap();
        symlink("..", inside.join("up")).unwrap();
        let absolute = place.path().join("secret").to_str().unwrap().to_owned();
        for (name, is_a_link) in
            [("../secret", false), (absolute.as_str(), false), ("link.sql", true), ("up/secret", true)]
        {
            let refused = read_named(&inside, name, FileAccess::Below);
            assert!(
                matches!(refused, Err(FileError::Outside { is_link }) if is_link == is_a_link),
                "{name}: {refused:?}"
            );
            assert_eq!(read_named(&inside, name, FileAccess::Anywhere).unwrap(), b"s", "{name}");
        }
        for name in ["sql/a.sql", "own.sql", "sql/../own.sql", inside.join("own.sql").to_str().unwrap()] {
            assert_eq!(read_named(&inside, name, FileAccess::Below).unwrap(), b"a", "{name}");
        }
    }
}
