//! The five fields, read one by one: every mistake has its character.

use super::ScheduleError;

/// What one field says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// A bit a value.
    values: u64,
    /// Exactly `*`: nothing was said.
    pub(super) every: bool,
    /// `*` or `*/n` is a part of it.
    pub(super) star: bool,
    pub(super) column: usize,
}

/// What a field may say.
struct Kind {
    name: &'static str,
    least: u8,
    most: u8,
    /// Words for the values, from the least on.
    words: &'static [&'static str],
}

const KINDS: [Kind; 5] = [
    Kind { name: "minute", least: 0, most: 59, words: &[] },
    Kind { name: "hour", least: 0, most: 23, words: &[] },
    Kind { name: "day", least: 1, most: 31, words: &[] },
    Kind {
        name: "month",
        least: 1,
        most: 12,
        words: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    // Sunday is 0, and 7.
    Kind { name: "week day", least: 0, most: 7, words: &WEEKDAYS },
];

const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Reads the five fields.
pub(super) fn read(text: &str) -> Result<[Field; 5], ScheduleError> {
    let mut found = words(text);
    let mut next = |kind: &Kind| match found.next() {
        Some((column, word)) => field(kind, column, word),
        None => {
            let hint = "write minute, hour, day, month and week day: `0 2 * * 0`";
            Err(wrong(text.chars().count() + 1, format!("the {} is missing", kind.name), hint))
        }
    };
    let fields = [next(&KINDS[0])?, next(&KINDS[1])?, next(&KINDS[2])?, next(&KINDS[3])?, next(&KINDS[4])?];
    match found.next() {
        None => Ok(fields),
        Some((column, _)) => Err(wrong(
            column,
            "there is a sixth field",
            "write minute, hour, day, month and week day; there are no seconds and no years",
        )),
    }
}

/// The words of a text with their columns, from 1.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut column = 1;
    text.split(|c: char| c == ' ' || c == '\t').filter_map(move |word| {
        let begins = column;
        column += word.chars().count() + 1;
        (!word.is_empty()).then_some((begins, word))
    })
}

fn field(kind: &Kind, column: usize, text: &str) -> Result<Field, ScheduleError> {
    let mut found = Field { values: 0, every: text == "*", star: false, column };
    let mut at = column;
    for part in text.split(',') {
        found.values |= values(kind, at, part)?;
        found.star |= part.starts_with('*');
        at += part.chars().count() + 1;
    }
    // Sunday by its other number.
    if kind.most == 7 && found.values & 1 << 7 != 0 {
        found.values = found.values & !(1 << 7) | 1;
    }
    Ok(found)
}

/// `*`, `*/n`, `a`, `a-b`, `a-b/n`.
fn values(kind: &Kind, column: usize, part: &str) -> Result<u64, ScheduleError> {
    let (range, step) = match part.split_once('/') {
        None => (part, None),
        Some((range, step)) => (range, Some((column + range.chars().count() + 1, step))),
    };
    let (first, last) = match range.split_once('-') {
        _ if range == "*" => (kind.least, if kind.most == 7 { 6 } else { kind.most }),
        None => {
            let value = value(kind, column, range)?;
            if let Some((column, _)) = step {
                let hint = format!("write `*/n`, or the range that is meant: `{range}-{}/n`", kind.most);
                return Err(wrong(column, format!("the {} has a step and no range", kind.name), hint));
            }
            (value, value)
        }
        Some((first, last)) => {
            let after = column + first.chars().count() + 1;
            let (first, last) = (value(kind, column, first)?, value(kind, after, last)?);
            if first > last {
                let hint = format!("write two ranges: `{first}-{},{}-{last}`", kind.most, kind.least);
                return Err(wrong(column, format!("the {} goes from {first} down to {last}", kind.name), hint));
            }
            (first, last)
        }
    };
    let step = step.map_or(Ok(1), |(column, step)| match step.parse::<u8>() {
        Ok(step) if step > 0 && step <= kind.most - kind.least => Ok(step),
        _ => {
            let most = kind.most - kind.least;
            Err(wrong(
                column,
                format!("the step of the {} is not 1 to {most}", kind.name),
                "write how many to go on by",
            ))
        }
    })?;
    Ok((first..=last).step_by(usize::from(step)).fold(0, |values, value| values | 1 << value))
}

fn value(kind: &Kind, column: usize, text: &str) -> Result<u8, ScheduleError> {
    let digits = !text.is_empty() && text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse::<u8>().ok() } else { None };
    if let Some(number) = number.filter(|number| (kind.least..=kind.most).contains(number)) {
        return Ok(number);
    }
    let word = kind.words.iter().position(|word| text.eq_ignore_ascii_case(word));
    if let Some(index) = word.and_then(|index| u8::try_from(index).ok()) {
        return Ok(kind.least + index);
    }
    let shown: String = text.chars().take(20).collect();
    let message = if shown.is_empty() {
        format!("the {} has an empty part", kind.name)
    } else {
        format!("the {} cannot be `{shown}`", kind.name)
    };
    let words = if kind.words.is_empty() { "" } else { ", or the first three letters of its name" };
    Err(wrong(column, message, format!("write {} to {}{words}", kind.least, kind.most)))
}

impl Field {
    fn ascending(&self) -> impl Iterator<Item = u8> + '_ {
        (0..64).filter(|value| self.values & 1 << value != 0)
    }

    /// As the `cron` crate reads numbers.
    pub(super) fn spelled(&self) -> String {
        if self.every {
            return "*".to_owned();
        }
        self.ascending().map(|value| value.to_string()).collect::<Vec<_>>().join(",")
    }

    /// As the `cron` crate reads week days: by name, for its numbers are others.
    pub(super) fn named(&self) -> String {
        if self.every {
            return "*".to_owned();
        }
        let names = self.ascending().filter_map(|value| WEEKDAYS.get(usize::from(value)).copied());
        names.collect::<Vec<_>>().join(",")
    }
}

fn wrong(column: usize, message: impl Into<String>, hint: impl Into<String>) -> ScheduleError {
    ScheduleError { column, message: message.into(), hint: hint.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let error = read(text).unwrap_err();
        format!("{error}: {}", error.hint)
    }

    #[test]
    fn every_mistake_has_its_character_and_what_to_write() {
        let texts = [
            "",
            "0 2 * *",
            "0 2 * * 0 2026",
            "60 2 * * *",
            "0 24 * * *",
            "0 2 0 * *",
            "0 2 * 13 *",
            "0 2 * * 8",
            "0 2 * foo *",
            "0 2,,3 * * *",
            "5/15 * * * *",
            "*/90 * * * *",
            "*/0 * * * *",
            "0 22-2 * * *",
            "0 2 L * *",
            "0 2 ? * *",
            "0 2 * * 5#3",
            "-1 * * * *",
            "0 2 * * 1-9",
        ];
        let found: Vec<String> = texts.iter().map(|text| format!("{text:<16}{}", error(text))).collect();
        insta::assert_snapshot!(found.join("\n"), @r"
                        the minute is missing, at character 1: write minute, hour, day, month and week day: `0 2 * * 0`
        0 2 * *         the week day is missing, at character 8: write minute, hour, day, month and week day: `0 2 * * 0`
        0 2 * * 0 2026  there is a sixth field, at character 11: write minute, hour, day, month and week day; there are no seconds and no years
        60 2 * * *      the minute cannot be `60`, at character 1: write 0 to 59
        0 24 * * *      the hour cannot be `24`, at character 3: write 0 to 23
        0 2 0 * *       the day cannot be `0`, at character 5: write 1 to 31
        0 2 * 13 *      the month cannot be `13`, at character 7: write 1 to 12, or the first three letters of its name
        0 2 * * 8       the week day cannot be `8`, at character 9: write 0 to 7, or the first three letters of its name
        0 2 * foo *     the month cannot be `foo`, at character 7: write 1 to 12, or the first three letters of its name
        0 2,,3 * * *    the hour has an empty part, at character 5: write 0 to 23
        5/15 * * * *    the minute has a step and no range, at character 3: write `*/n`, or the range that is meant: `5-59/n`
        */90 * * * *    the step of the minute is not 1 to 59, at character 3: write how many to go on by
        */0 * * * *     the step of the minute is not 1 to 59, at character 3: write how many to go on by
        0 22-2 * * *    the hour goes from 22 down to 2, at character 3: write two ranges: `22-23,0-2`
        0 2 L * *       the day cannot be `L`, at character 5: write 1 to 31
        0 2 ? * *       the day cannot be `?`, at character 5: write 1 to 31
        0 2 * * 5#3     the week day cannot be `5#3`, at character 9: write 0 to 7, or the first three letters of its name
        -1 * * * *      the minute has an empty part, at character 1: write 0 to 59
        0 2 * * 1-9     the week day cannot be `9`, at character 11: write 0 to 7, or the first three letters of its name
        ");
    }

    #[test]
    fn sunday_has_two_numbers_and_a_name() {
        let weekday = |text: &str| read(&format!("0 0 * * {text}")).unwrap()[4].named();
        assert_eq!([weekday("0"), weekday("7"), weekday("Sun")], ["sun", "sun", "sun"]);
        assert_eq!(weekday("5-7"), "sun,fri,sat");
        assert_eq!(weekday("*/2"), "sun,tue,thu,sat");
    }

    #[test]
    fn a_field_is_given_unless_it_is_a_star_and_nothing_else() {
        let [minute, hour, day, ..] = read("*/5 1-3,*/12 * * *").unwrap();
        assert_eq!((minute.every, minute.star, hour.every, hour.star), (false, true, false, true));
        assert!(day.every && day.star);
    }
}
