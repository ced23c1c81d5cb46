//! Results, as text and as JSON.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::options::Options;
use crate::proc;

/// One measurement of one subject.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) requests: u64,
    /// Per second.
    pub(crate) rate: f64,
    pub(crate) mean_us: f64,
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    pub(crate) p999_us: Option<f64>,
    /// CPU time of the server per request.
    pub(crate) server_cpu_us: Option<f64>,
    /// CPU time of the database server per request.
    pub(crate) database_cpu_us: Option<f64>,
    pub(crate) reply_bytes: Option<f64>,
    /// Of all calls, including the warm-up.
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
}

/// All measurements of one subject in one case.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Subject {
    pub(crate) case: String,
    pub(crate) name: String,
    /// Median over the rounds, for each value separately.
    pub(crate) median: Sample,
    pub(crate) rounds: Vec<Sample>,
}

impl Subject {
    pub(crate) fn new(case: &str, name: &str, rounds: Vec<Sample>) -> Self {
        let mid = |value: fn(&Sample) -> f64| median(rounds.iter().map(value).collect());
        let maybe = |value: fn(&Sample) -> Option<f64>| {
            let values: Option<Vec<f64>> = rounds.iter().map(value).collect();
            values.map(median)
        };
        let summary = Sample {
            requests: rounds.iter().map(|s| s.requests).sum(),
            rate: mid(|s| s.rate),
            mean_us: mid(|s| s.mean_us),
            p50_us: maybe(|s| s.p50_us),
            p99_us: maybe(|s| s.p99_us),
            p999_us: maybe(|s| s.p999_us),
            server_cpu_us: maybe(|s| s.server_cpu_us),
            database_cpu_us: maybe(|s| s.database_cpu_us),
            reply_bytes: maybe(|s| s.reply_bytes),
            errors: rounds.iter().map(|s| s.errors).sum(),
            first_error: rounds.iter().find_map(|s| s.first_error.clone()),
        };
        Self {
            case: case.to_owned(),
            name: name.to_owned(),
            median: summary,
            rounds,
        }
    }
}

/// Target of a value.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Aim {
    AtLeast(f64),
    AtMost(f64),
}

/// A value with a meaning of its own.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Claim {
    what: String,
    unit: &'static str,
    median: f64,
    lowest: f64,
    highest: f64,
    aim: Option<Aim>,
    met: Option<bool>,
}

impl Claim {
    pub(crate) fn new(what: String, unit: &'static str, values: &[f64], aim: Option<Aim>) -> Self {
        let median = median(values.to_vec());
        let met = aim.map(|aim| match aim {
            Aim::AtLeast(least) => median >= least,
            Aim::AtMost(most) => median <= most,
        });
        Self {
            what,
            unit,
            median,
            lowest: values.iter().copied().fold(f64::INFINITY, f64::min),
            highest: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            aim,
            met,
        }
    }

    /// Returns the ratio of two rates, round by round, so that both had the same other load on the machine.
    pub(crate) fn ratio(subject: &Subject, baseline: &Subject, aim: Option<Aim>) -> Self {
        let pairs = subject.rounds.iter().zip(&baseline.rounds);
        // Without a working baseline there is no ratio, and NaN meets no aim.
        let ratio = |s: &Sample, b: &Sample| {
            if b.rate > 0.0 {
                s.rate / b.rate
            } else {
                f64::NAN
            }
        };
        let ratios: Vec<f64> = pairs.map(|(s, b)| ratio(s, b)).collect();
        let what = format!("{}: {} / {}", subject.case, subject.name, baseline.name);
        Self::new(what, "", &ratios, aim)
    }
}

/// A table and the claims drawn from it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Section {
    pub(crate) name: String,
    /// Explanation for the reader.
    pub(crate) about: String,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) claims: Vec<Claim>,
}

/// Results of a whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    time: String,
    cores: usize,
    load_average_before: f64,
    options: &'a Options,
    pub(crate) sections: Vec<Section>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(options: &'a Options) -> Self {
        Self {
            time: prost_types::Timestamp::from(SystemTime::now()).to_string(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load_average_before: proc::load_average(),
            options,
            sections: Vec::new(),
        }
    }

    /// Returns a one-line summary of all aims.
    pub(crate) fn summary(&self) -> String {
        let claims = self.sections.iter().flat_map(|section| &section.claims);
        let met: Vec<bool> = claims.filter_map(|claim| claim.met).collect();
        let missed = met.iter().filter(|met| !**met).count();
        format!(
            "{} of {} aims met; {} cores, load average {:.1} before",
            met.len() - missed,
            met.len(),
            self.cores,
            self.load_average_before
        )
    }

    /// Writes the report as JSON to a file named by its time.
    pub(crate) fn write(&self) -> PathBuf {
        let dir = target().join("bench");
        let second = self.time.split(['.', 'Z']).next().unwrap_or_default();
        let path = dir.join(format!("{}.json", second.replace(':', "-")));
        let json = serde_json::to_string_pretty(self).expect("a report becomes JSON");
        let written = std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(&path, json));
        written.unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
        path
    }
}

/// Returns cargo's target directory that this program was built in.
pub(crate) fn target() -> PathBuf {
    let exe = std::env::current_exe().expect("the path of this program");
    let profile = exe.parent().and_then(Path::parent);
    profile.expect("cargo builds into a directory").to_owned()
}

/// Returns the lowest of sorted values that at least `permille` of all do not exceed.
pub(crate) fn quantile(sorted: &[u32], permille: usize) -> Option<f64> {
    let rank = (sorted.len() * permille).div_ceil(1000).saturating_sub(1);
    sorted.get(rank).map(|value| f64::from(*value))
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.as_slice() {
        [] => f64::NAN,
        sorted if sorted.len() % 2 == 1 => sorted[middle],
        sorted => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n== {} ==\n{}\n", self.name, self.about)?;
        if !self.subjects.is_empty() {
            writeln!(
                f,
                "{:<12} {:<40} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8} {:>7} {:>6}",
                "",
                "",
                "req/s",
                "p50 us",
                "p99 us",
                "p999 us",
                "cpu us",
                "db cpu",
                "bytes",
                "errors"
            )?;
        }
        let mut case = "";
        for subject in &self.subjects {
            if case != subject.case {
                case = &subject.case;
                writeln!(f, "{case}")?;
            }
            write!(f, "{subject}")?;
        }
        for claim in &self.claims {
            writeln!(f, "{claim}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sample {
            rate,
            p50_us,
            p99_us,
            p999_us,
            server_cpu_us,
            database_cpu_us,
            reply_bytes,
            errors,
            ref first_error,
            requests: _,
            mean_us: _,
        } = self.median;
        let whole = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.0}"));
        let tenth = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.1}"));
        writeln!(
            f,
            "{:<12} {:<40} {rate:>9.0} {:>9} {:>9} {:>9} {:>8} {:>8} {:>7} {errors:>6}",
            "",
            self.name,
            whole(p50_us),
            whole(p99_us),
            whole(p999_us),
            tenth(server_cpu_us),
            tenth(database_cpu_us),
            whole(reply_bytes),
        )?;
        match first_error {
            Some(error) => writeln!(f, "{:<12} first error: {error}", ""),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            unit,
            median,
            lowest,
            highest,
            aim,
            met,
        } = self;
        write!(
            f,
            "  {what}: {median:.2}{unit} ({lowest:.2} to {highest:.2})"
        )?;
        match aim {
            Some(Aim::AtLeast(least)) => write!(f, ", aim: at least {least}{unit}")?,
            Some(Aim::AtMost(most)) => write!(f, ", aim: at most {most}{unit}")?,
            None => {}
        }
        match met {
            Some(true) => write!(f, ", met"),
            Some(false) => write!(f, ", MISSED"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_applies_to_the_median() {
        let claim = |aim| Claim::new("x".to_owned(), "", &[0.5, 0.9, 0.7], Some(aim)).met;
        assert_eq!(claim(Aim::AtLeast(0.7)), Some(true));
        assert_eq!(claim(Aim::AtMost(0.6)), Some(false));
        assert!((median(vec![4.0, 1.0]) - 2.5).abs() < f64::EPSILON);
    }
}
