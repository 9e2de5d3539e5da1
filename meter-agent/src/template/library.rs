//! The templates that come with the program.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{InvalidTemplate, Template};

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../templates/", $name, ".toml")))),*]
    };
}

/// Name and text of each template file.
const EMBEDDED: &[(&str, &str)] = embedded![
    "abb_b23",
    "cg_em24_e1",
    "cg_em24_rs485",
    "cg_em340",
    "eastron_sdm120",
    "eastron_sdm230",
    "eastron_sdm630",
    "fronius_gen24",
    "goodwe_dt",
    "goodwe_et",
    "huawei_sun2000_meter",
    "janitza_umg96rm_b",
    "kostal_plenticore",
    "schneider_iem3155",
    "shelly_3em_gen1",
    "shelly_em1",
    "shelly_em_gen1",
    "shelly_pro_3em",
    "shelly_switch",
    "siemens_pac2200",
    "sma_inverter",
    "sma_shm2",
    "solaredge",
    "sungrow_sg",
    "sungrow_sh",
    "sunspec",
    "sunspec_inverter",
    "sunspec_inverter_meter",
    "tasmota_energy",
    "tasmota_sml",
    "victron_gx",
    "zigbee2mqtt",
];

/// Names that are at least this alike may have been meant; 1 is the same name.
const ALIKE: f64 = 0.75;
const MOST_SUGGESTIONS: usize = 4;

/// No template has the name that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown device template {id:?}: {hint} (`meter-agent templates` lists them with their devices)")]
pub struct UnknownTemplate {
    /// What was asked for.
    pub id: String,
    /// Which ones may have been meant, or all there are.
    pub hint: String,
}

/// All templates, by id.
#[derive(Debug, Clone)]
pub struct Library(BTreeMap<String, Arc<Template>>);

impl Library {
    /// Reads and checks the templates that come with the program.
    ///
    /// # Errors
    /// [`InvalidTemplate`] if one is wrong, which the tests keep from happening.
    pub fn embedded() -> Result<Self, InvalidTemplate> {
        let mut templates = BTreeMap::new();
        for (name, text) in EMBEDDED {
            let template = Template::parse(text)?;
            if template.id != *name {
                return Err(InvalidTemplate::Rule {
                    id: template.id,
                    reason: format!("its file is named {name}.toml; id and file must agree"),
                });
            }
            templates.insert((*name).to_owned(), Arc::new(template));
        }
        Ok(Self(templates))
    }

    /// The template with an id, or one of its other names.
    ///
    /// # Errors
    /// [`UnknownTemplate`], which names those that are like it, or all.
    pub fn get(&self, id: &str) -> Result<Arc<Template>, UnknownTemplate> {
        let by_alias = || self.0.values().find(|template| template.aliases.iter().any(|alias| alias == id));
        self.0.get(id).or_else(by_alias).cloned().ok_or_else(|| {
            let id: String = id.chars().take(64).collect();
            let hint = match self.like(&id) {
                alike if alike.is_empty() => {
                    format!("known are {}", self.0.keys().cloned().collect::<Vec<_>>().join(", "))
                }
                alike => format!("did you mean {}?", alike.join(" or ")),
            };
            UnknownTemplate { id, hint }
        })
    }

    /// The ids of templates with a name like `asked`, or with `asked` in their device's, the likeliest first.
    fn like(&self, asked: &str) -> Vec<&str> {
        let plain = |text: &str| -> String {
            text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
        };
        let asked = plain(asked);
        if asked.len() < 2 {
            return Vec::new();
        }
        let likeness = |template: &Template| {
            let names = template.aliases.iter().chain([&template.id]).map(|name| {
                let name = plain(name);
                if name.contains(&asked) || asked.contains(&name) {
                    1.0
                } else {
                    strsim::jaro_winkler(&name, &asked)
                }
            });
            let device = plain(&format!("{}{}", template.vendor, template.model));
            names.fold(if device.contains(&asked) { ALIKE } else { 0.0 }, f64::max)
        };
        let mut alike: Vec<(f64, &str)> =
            self.iter().map(|template| (likeness(template), template.id.as_str())).collect();
        alike.retain(|(likeness, _)| *likeness >= ALIKE);
        alike.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        alike.into_iter().take(MOST_SUGGESTIONS).map(|(_, id)| id).collect()
    }

    /// All templates, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Template> {
        self.0.values().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_valid_and_every_file_is_embedded() {
        let library = Library::embedded().unwrap();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/templates");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        assert_eq!(files, library.iter().map(|t| t.id.clone()).collect::<Vec<_>>());
    }

    #[test]
    fn every_name_belongs_to_one_template() {
        let library = Library::embedded().unwrap();
        let mut names: Vec<&str> =
            library.iter().flat_map(|t| t.aliases.iter().chain([&t.id])).map(String::as_str).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!(library.get("shelly_pro3em").unwrap().id, "shelly_pro_3em");
    }

    #[test]
    fn the_templates_of_the_demonstration_can_settle() {
        let library = Library::embedded().unwrap();
        for id in ["eastron_sdm630", "sunspec_inverter_meter", "shelly_pro_3em"] {
            assert!(library.get(id).unwrap().can_settle(), "{id}");
        }
    }

    #[test]
    fn what_was_meant_is_suggested_and_otherwise_all_are_named() {
        let library = Library::embedded().unwrap();
        for (asked, meant) in [
            ("sdm630", "eastron_sdm630"),
            ("SDM-630", "eastron_sdm630"),
            ("eastron_smd630", "eastron_sdm630"),
            ("solar-edge", "solaredge"),
            ("Plenticore", "kostal_plenticore"),
            ("shelly-pro-3em", "shelly_pro_3em"),
            ("cerbo", "victron_gx"),
        ] {
            let error = library.get(asked).unwrap_err().to_string();
            assert!(error.contains("did you mean") && error.contains(meant), "{asked}: {error}");
        }
        for nothing_like_it in ["", "x", "teapot"] {
            let error = library.get(nothing_like_it).unwrap_err().to_string();
            assert!(error.contains("known are abb_b23") && error.contains("eastron_sdm630"), "{error}");
        }
    }
}
