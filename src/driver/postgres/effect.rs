//! Whether a statement may change anything: what decides between `unknown` and `rejected` when its reply never comes.

/// Whether `sql` certainly changes nothing, as long as what it reads are plain tables: a view may call functions that write.
/// Anything in doubt, such as a function that is not known here, is `false`.
pub(super) fn is_read_only(sql: &str) -> bool {
    let Some(tokens) = tokens(sql) else { return false };
    let starts_as_query = tokens
        .iter()
        .find(|token| **token != Token::Open)
        .is_some_and(|token| matches!(token, Token::Word(word) if QUERY_STARTS.contains(&word.as_str())));
    starts_as_query && (0..tokens.len()).all(|at| is_harmless(&tokens, at))
}

/// Every name in `sql` that may be one of a table or a view; none if it is not understood.
pub(super) fn names(sql: &str) -> Vec<String> {
    let name = |token| match token {
        Token::Word(name) | Token::Quoted(name) => Some(name),
        Token::Open | Token::Other(_) => None,
    };
    tokens(sql).unwrap_or_default().into_iter().filter_map(name).collect()
}

/// Words that begin statements which may be read-only.
const QUERY_STARTS: [&str; 5] = ["select", "table", "values", "show", "with"];

/// Words that change something, except in `FOR UPDATE`.
const WRITING: [&str; 5] = ["insert", "update", "delete", "merge", "into"];

/// Keywords and functions of the server's that may stand before a parenthesis without changing anything.
#[rustfmt::skip]
const HARMLESS_BEFORE_PARENTHESIS: [&str; 78] = [
    "abs", "all", "and", "any", "array", "array_agg", "array_length", "as", "avg", "between", "bool_and", "bool_or",
    "by", "cardinality", "case", "ceil", "char_length", "coalesce", "concat", "count", "date_trunc", "dense_rank",
    "distinct", "else", "every", "except", "exists", "extract", "filter", "floor", "from", "generate_series",
    "greatest", "having", "in", "intersect", "join", "json_agg", "jsonb_agg", "jsonb_build_object", "lag", "lateral",
    "lead", "least", "left", "length", "like", "limit", "lower", "materialized", "max", "min", "not", "now", "nullif",
    "on", "or", "over", "partition", "pg_backend_pid", "pg_sleep", "rank", "round", "row", "row_number", "select",
    "some", "string_agg", "sum", "then", "union", "unnest", "upper", "using", "values", "when", "where", "with",
];

#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// A keyword or an unquoted name, in lower case.
    Word(String),
    /// A quoted name, as it is written.
    Quoted(String),
    /// `(`
    Open,
    /// Any other character that is not blank, and literals.
    Other(char),
}

fn is_harmless(tokens: &[Token], at: usize) -> bool {
    let before = at.checked_sub(1).map(|before| &tokens[before]);
    let opens = tokens.get(at + 1) == Some(&Token::Open);
    match &tokens[at] {
        Token::Word(word) if WRITING.contains(&word.as_str()) => {
            word == "update" && matches!(before, Some(Token::Word(before)) if before == "for" || before == "key")
        }
        Token::Word(word) if opens => {
            HARMLESS_BEFORE_PARENTHESIS.contains(&word.as_str()) && before != Some(&Token::Other('.'))
        }
        Token::Quoted(_) => !opens,
        _ => true,
    }
}

/// `None` for what is not understood: dollar quotes, backslashes, literals without an end.
fn tokens(sql: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = sql.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            let length = rest.find("*/")? + 2;
            if rest[2..length].contains("/*") {
                return None;
            }
            length
        } else if matches!(first, '\'' | '"') {
            let text = &rest[1..=rest[1..].find(first)?];
            tokens.push(if first == '"' { Token::Quoted(text.to_owned()) } else { Token::Other(first) });
            text.len() + 2
        } else if first == '\\' || (first == '$' && !rest[1..].starts_with(|next: char| next.is_ascii_digit())) {
            return None;
        } else if is_word(first) {
            let length = rest.find(|next| !is_word(next)).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..length].to_lowercase()));
            length
        } else {
            tokens.push(if first == '(' { Token::Open } else { Token::Other(first) });
            first.len_utf8()
        };
        if rest[..length].contains('\\') {
            return None;
        }
        rest = rest[length..].trim_start();
    }
    Some(tokens)
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_queries_are_read_only() {
        for sql in [
            "SELECT 1",
            "  select balance from account where id = $1",
            "SELECT count(*), sum(a) FROM t WHERE x IN (1, 2) -- insert\n",
            "SELECT 'insert into', \"update\" FROM t /* delete */ FOR UPDATE NOWAIT",
            "SELECT id FROM t WHERE name = 'it''s' FOR NO KEY UPDATE",
            "(SELECT 1) UNION ALL (SELECT 2)",
            "WITH RECURSIVE c AS (SELECT id FROM g UNION SELECT m.b FROM m JOIN c ON m.a = c.id) SELECT * FROM c",
            "SELECT pg_sleep($1)",
            "VALUES (1), (2)",
            "TABLE t",
            "SHOW fsync",
        ] {
            assert!(is_read_only(sql), "{sql}");
        }
    }

    #[test]
    fn names_are_found_in_any_writing() {
        assert_eq!(
            names("SELECT A.b FROM \"My View\" a -- x\n, s.t"),
            ["select", "a", "b", "from", "My View", "a", "s", "t"]
        );
        assert_eq!(names("SELECT $$a$$"), [""; 0]);
    }

    #[test]
    fn what_may_write_is_not() {
        for sql in [
            "INSERT INTO t VALUES (1)",
            "UPDATE t SET a = 1",
            "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
            "SELECT nextval('s')",
            "SELECT my_function(1)",
            "SELECT my.count(1)",
            "SELECT \"count\"(1)",
            "SELECT 1 INTO t2",
            "SELECT $$a$$, f()",
            "SELECT E'\\'', f()",
            "SELECT 'no end",
            "SELECT 1 /* a /* b */ c */",
            "CALL p()",
            "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DO NOTHING",
            "EXPLAIN ANALYZE DELETE FROM t",
            "",
        ] {
            assert!(!is_read_only(sql), "{sql}");
        }
    }
}
