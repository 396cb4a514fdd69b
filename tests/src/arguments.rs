//! A trial's command line: words, and `--name value`. Not here: what they mean.

use std::{collections::BTreeMap, str::FromStr};

/// A command line, taken apart.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    /// What stands alone, in order.
    pub words: Vec<String>,
    options: BTreeMap<String, String>,
}

impl Arguments {
    /// This process's. Each of `flags` stands for `--flag yes`.
    ///
    /// # Panics
    /// When an option has no value.
    #[must_use]
    pub fn of_process(flags: &[&str]) -> Self {
        let mut arguments = Self::default();
        let mut all = std::env::args().skip(1);
        while let Some(argument) = all.next() {
            let Some(name) = argument.strip_prefix("--") else {
                arguments.words.push(argument);
                continue;
            };
            let flag = flags.contains(&name).then(|| "yes".to_owned());
            let value = flag.or_else(|| all.next());
            assert!(value.is_some(), "--{name} wants a value");
            arguments.options.insert(name.to_owned(), value.unwrap_or_default());
        }
        arguments
    }

    /// An option's text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// Whether a flag is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.options.contains_key(name)
    }

    /// An option's value, or what it is when it is not given.
    ///
    /// # Panics
    /// When it is not of its form.
    #[must_use]
    pub fn get<T: FromStr>(&self, name: &str, otherwise: T) -> T {
        let Some(text) = self.text(name) else {
            return otherwise;
        };
        let value = text.parse().ok();
        assert!(value.is_some(), "--{name}: {text} is not of its form");
        value.unwrap_or(otherwise)
    }
}
