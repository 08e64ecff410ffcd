//! Names in CSV files. One that a spreadsheet would run as a formula is written with `'` before it, and read back without.

use std::borrow::Cow;

/// The control of a row that belongs to a case itself. An empty cell would be `NaN` in pandas. Readers take both.
const NO_CONTROL: &str = "-";

/// What begins a formula, and what begins a name that is marked.
const MARKED: [char; 8] = ['=', '+', '-', '@', '\t', '\r', '\n', '\''];

/// A name as it is written.
pub(super) fn written(name: &str) -> Cow<'_, str> {
    if name.starts_with(MARKED) { Cow::Owned(format!("'{name}")) } else { Cow::Borrowed(name) }
}

/// The control that a row belongs to as it is written.
pub(super) fn control(name: Option<&str>) -> String {
    name.map_or_else(|| NO_CONTROL.to_owned(), |name| written(name).into_owned())
}

/// The name that a cell holds.
pub(super) fn read(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|name| name.starts_with(MARKED)).unwrap_or(cell)
}

/// The control that a row belongs to, empty for the case itself.
pub(super) fn read_control(cell: &str) -> &str {
    if cell == NO_CONTROL { "" } else { read(cell) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_name_begins_a_formula() {
        for name in ["=1+1", "+cmd", "-cmd", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1"] {
            assert_eq!(written(name), format!("'{name}"));
        }
        assert_eq!(written("race[a=-1]"), "race[a=-1]");
    }

    #[test]
    fn a_case_itself_has_no_control_in_older_files_either() {
        assert_eq!([read_control(&control(None)), read_control("")], ["", ""]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(name in "[-=+@'a1\t\r\n]{1,4}") {
            let (cell, control) = (written(&name), control(Some(&name)));
            prop_assert_eq!([read(&cell), read_control(&control)], [name.as_str(), name.as_str()]);
        }
    }
}
