//! What of a text may be shown: no login of a URL is ever repeated.

/// What stands where a login was.
const HIDDEN: &str = "***";

/// A text of ours or of a server's, in which each URL loses what may be its login. A URL ends at a blank, a quote, a backtick or an
/// angle bracket, so that JSON, XML and CSV keep their form.
pub fn hidden(text: &str) -> String {
    replaced(text, |rest| rest.find(|c: char| c.is_whitespace() || "\"'`<>".contains(c)).unwrap_or(rest.len()))
}

/// A text that quotes a user's: everything between `://` and the last `@` of the line goes, since a password may hold blanks and
/// quotes. What looks like a login without a scheme, `user:password@host`, goes as well.
pub fn hidden_in_lines(text: &str) -> String {
    let masked = replaced(text, |rest| rest.find('\n').unwrap_or(rest.len()));
    let words = masked.split_inclusive(char::is_whitespace);
    words
        .map(|word| login_without_scheme(word).map_or(word.to_owned(), |login| word.replacen(login, HIDDEN, 1)))
        .collect()
}

/// A value that a race asked for or got: as [`hidden_in_lines`], and what follows `password=` goes as well.
pub fn hidden_in_value(text: &str) -> String {
    let text = hidden_in_lines(text);
    // In ASCII every letter keeps its place.
    let lower = text.to_ascii_lowercase();
    let (mut shown, mut from) = (String::new(), 0);
    while let Some(secret) =
        PASSWORD_KEYS.iter().filter_map(|key| Some(from + lower[from..].find(key)? + key.len())).min()
    {
        let rest = &text[secret..];
        let quote = rest.chars().next().filter(|first| "'\"".contains(*first));
        let length = match quote {
            Some(quote) => rest[1..].find(quote).map_or(rest.len(), |end| end + 2),
            None => rest.find(|next: char| next.is_whitespace() || "&;,'\"".contains(next)).unwrap_or(rest.len()),
        };
        shown.push_str(&text[from..secret]);
        shown.push_str(HIDDEN);
        from = secret + length;
    }
    shown + &text[from..]
}

/// What stands before a password in settings and in the queries of URLs.
const PASSWORD_KEYS: [&str; 2] = ["password=", "passwd="];

/// As [`hidden_in_lines`], but every part keeps its length in bytes, so that places in the text stay where they are.
pub fn hidden_in_place(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let start_of = |part: &str| part.as_ptr() as usize - text.as_ptr() as usize;
    let mut logins: Vec<&str> = Vec::new();
    for line in text.split('\n').filter(|line| line.contains('@')) {
        logins.extend(line.find("://").and_then(|at| line[at + 3..].rfind('@').map(|end| &line[at + 3..at + 3 + end])));
        logins.extend(line.split_whitespace().filter_map(login_without_scheme));
    }
    for login in logins {
        let start = start_of(login);
        bytes[start..start + login.len()].fill(b'*');
    }
    String::from_utf8(bytes).expect("whole characters became stars")
}

/// A value that a user gave, such as an argument: a URL as scheme, host, port and path, everything else as it is unless it may hold
/// a login.
pub fn shown(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    if text.contains("://") {
        redacted(text)
    } else if login_without_scheme(text).is_some() || lower.contains("password=") || lower.contains("passwd=") {
        HIDDEN.to_owned()
    } else {
        text.to_owned()
    }
}

/// A URL as it may be shown: scheme, host, port and path. Whatever cannot be parsed is not shown at all. An `@` that is not the
/// end of the login says that the login holds a `/`, `?` or `#`: then a piece of it would pass for the host.
pub fn redacted(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if parsed.has_host() && misplaced_at(url).is_none() => {
            // Both fail only for URLs that cannot have a user; a bare user may be a token.
            let cleared = parsed.set_password(None).and_then(|()| parsed.set_username(""));
            parsed.set_query(None);
            parsed.set_fragment(None);
            cleared.map_or_else(|()| "(a URL)".to_owned(), |()| parsed.to_string())
        }
        _ => "(not a URL)".to_owned(),
    }
}

/// Why the login of a URL cannot be told from its host, and what to do: each reader takes another `@` for its end.
pub fn misplaced_at(url: &str) -> Option<&'static str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let once = rest.matches('@').count() <= 1 && rest.contains('@') == authority.contains('@');
    (!once).then_some("it has an `@` more than the one that ends the login; write `%40` for `@`, `%2F` for `/`, `%3F` for `?` and `%23` for `#` in a user or password")
}

/// `user:password` of a word such as `"user:password@host"`.
fn login_without_scheme(word: &str) -> Option<&str> {
    let end = word.rfind('@')?;
    let host = word[end + 1..].chars().next()?;
    let before = &word[..end];
    let start = before.rfind(|c: char| "\"'`=(,<".contains(c)).map_or(0, |at| at + 1);
    let login = &before[start..];
    let fits = login.find(':').is_some_and(|at| at > 0) && (host.is_ascii_alphanumeric() || host == '[');
    fits.then_some(login).filter(|login| !login.contains(HIDDEN))
}

/// The text with stars for what stands between `://` and the last `@` before the end that `end` finds.
fn replaced(text: &str, end: impl Fn(&str) -> usize) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        masked.push_str(before);
        let url = &after[..end(after)];
        if let Some(login) = url.rfind('@') {
            masked.push_str(HIDDEN);
            rest = &after[login..];
        } else {
            rest = after;
        }
    }
    masked.push_str(rest);
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGINS: [&str; 6] = ["u:s3cret", "u:p@s3cret", "u:a/s3cret", "u:a?s3cret", "s3cret", "s3cret/s3cret"];

    #[test]
    fn no_login_of_a_url_is_shown_whatever_it_holds() {
        for login in LOGINS {
            let url = format!("postgres://{login}@h:1/d");
            for text in [hidden(&format!("no `{url}` here")), hidden_in_lines(&url), hidden_in_place(&url), shown(&url)]
            {
                assert!(!text.contains("s3cret"), "{text}");
            }
        }
        for text in [hidden_in_lines("in \"u:s3cret@h/d\""), hidden_in_place("in 'u:s3cret@h'"), shown("u:s3cret@h")] {
            assert!(!text.contains("s3cret"), "{text}");
        }
        assert!(!hidden_in_lines("there is no `postgres://u:s3 cret'@h`").contains("cret"));
        assert!(!shown("host=h password=s3cret").contains("s3cret"));
    }

    #[test]
    fn what_is_not_a_login_stays_as_it_is() {
        for text in ["a@b.example", "https://h/d", "'{\"a\": 1}'::jsonb @> b", "a.toml:3:5: wrong", "writers=3"] {
            assert_eq!(hidden(text), text);
            assert_eq!(hidden_in_lines(text), text);
            assert_eq!(hidden_in_place(text), text);
            assert_eq!(shown(text), text);
        }
        assert_eq!(hidden("{\"a\": \"nats://t@h\", \"b\": \"c@d\"}"), "{\"a\": \"nats://***@h\", \"b\": \"c@d\"}");
        assert_eq!(shown("postgres://u:p@h:1/d?password=x"), "postgres://h:1/d");
    }

    #[test]
    fn places_in_the_text_stay_where_they_are() {
        let text = "url = \"postgres://ü:ß@h\" # here";
        assert_eq!(hidden_in_place(text).find("# here"), text.find("# here"));
    }
}
