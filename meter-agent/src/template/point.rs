//! One value of a device: where it lies and how it is read.

use serde::Deserialize;

use crate::decode::{Unit, ValueType, WordOrder};

/// The values the agent knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointName {
    /// Cumulative energy taken from the network.
    ImportEnergy,
    /// Cumulative energy delivered to the network (of an inverter: its lifetime yield).
    ExportEnergy,
    /// Cumulative energy produced behind the meter.
    ProductionEnergy,
    /// Momentary power, its sign given by the point.
    ActivePower,
    /// Momentary power of import only; with [`PointName::PowerExport`] it makes the power.
    PowerImport,
    /// Momentary power of export only.
    PowerExport,
    /// Momentary power of a phase; the three make the power.
    PowerL1,
    /// As above.
    PowerL2,
    /// As above.
    PowerL3,
    /// Voltage of the first phase.
    Voltage,
    /// The network's frequency.
    Frequency,
    /// [`PointName::Voltage`] as the inverter measures it; it counts where the meter tells none.
    VoltageOfInverter,
    /// Likewise of [`PointName::Frequency`].
    FrequencyOfInverter,
    /// Likewise of [`PointName::ActivePower`]; a quality flag says that it stood in.
    PowerOfInverter,
    /// The serial number.
    Serial,
    /// A state that must have a certain value, or nothing else counts.
    Status,
    /// [`PointName::ImportEnergy`] in the wider register of newer firmware, which leaves the old one at
    /// zero. It counts where the device has it and it is not zero.
    ImportEnergyWide,
    /// Likewise of [`PointName::ExportEnergy`].
    ExportEnergyWide,
    /// What was taken over a phase; compared with the total, which alone counts.
    ImportL1,
    /// As above.
    ImportL2,
    /// As above.
    ImportL3,
    /// What was delivered over a phase; likewise.
    ExportL1,
    /// As above.
    ExportL2,
    /// As above.
    ExportL3,
}

impl PointName {
    /// The name as templates and readings write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ImportEnergy => "import_energy",
            Self::ExportEnergy => "export_energy",
            Self::ProductionEnergy => "production_energy",
            Self::ActivePower => "active_power",
            Self::PowerImport => "power_import",
            Self::PowerExport => "power_export",
            Self::PowerL1 => "power_l1",
            Self::PowerL2 => "power_l2",
            Self::PowerL3 => "power_l3",
            Self::Voltage => "voltage",
            Self::Frequency => "frequency",
            Self::VoltageOfInverter => "voltage_of_inverter",
            Self::FrequencyOfInverter => "frequency_of_inverter",
            Self::PowerOfInverter => "power_of_inverter",
            Self::Serial => "serial",
            Self::Status => "status",
            Self::ImportEnergyWide => "import_energy_wide",
            Self::ExportEnergyWide => "export_energy_wide",
            Self::ImportL1 => "import_l1",
            Self::ImportL2 => "import_l2",
            Self::ImportL3 => "import_l3",
            Self::ExportL1 => "export_l1",
            Self::ExportL2 => "export_l2",
            Self::ExportL3 => "export_l3",
        }
    }

    /// Whether it is a register's wider form, which firmware may lack.
    #[must_use]
    pub const fn is_wide(self) -> bool {
        matches!(self, Self::ImportEnergyWide | Self::ExportEnergyWide)
    }

    /// The energies of the phases, by direction.
    pub const PHASES: [[Self; 3]; 2] =
        [[Self::ImportL1, Self::ImportL2, Self::ImportL3], [Self::ExportL1, Self::ExportL2, Self::ExportL3]];

    /// Whether it is the energy of a phase, which no money rests on.
    #[must_use]
    pub const fn is_phase_energy(self) -> bool {
        matches!(
            self,
            Self::ImportL1
                | Self::ImportL2
                | Self::ImportL3
                | Self::ExportL1
                | Self::ExportL2
                | Self::ExportL3
        )
    }

    /// Whether it stands in for another value that a device may not tell.
    #[must_use]
    pub const fn is_stand_in(self) -> bool {
        matches!(self, Self::VoltageOfInverter | Self::FrequencyOfInverter | Self::PowerOfInverter)
    }

    /// Whether it is a cumulative register, on which money rests.
    #[must_use]
    pub const fn is_energy(self) -> bool {
        matches!(self, Self::ImportEnergy | Self::ExportEnergy | Self::ProductionEnergy) || self.is_wide()
    }
}

/// Which of the two read functions of Modbus a register is read with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// Function 3, read holding registers.
    Holding,
    /// Function 4, read input registers.
    Input,
}

/// Which direction a power counts as positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// Positive is taken from the network, as everywhere in this program.
    #[default]
    ImportPositive,
    /// Positive is delivered to the network.
    ExportPositive,
    /// Positive is production.
    ProductionPositive,
}

impl Sign {
    /// The factor that makes import positive.
    #[must_use]
    pub const fn factor(self) -> f64 {
        match self {
            Self::ImportPositive => 1.0,
            Self::ExportPositive | Self::ProductionPositive => -1.0,
        }
    }
}

/// A value in the register map of a Modbus device.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterPoint {
    /// How it is read.
    pub function: Function,
    /// Its first register, counted from 0 as on the wire.
    pub address: u16,
    /// Its type.
    #[serde(rename = "type")]
    pub value_type: ValueType,
    /// How many registers a text has; other types have their own length.
    pub words: Option<u16>,
    /// Which word comes first.
    #[serde(default)]
    pub word_order: WordOrder,
    /// The raw value times ten to this power is in `unit`.
    #[serde(default)]
    pub scale_pow10: i32,
    /// Its unit after the scale.
    #[serde(default)]
    pub unit: Unit,
    /// For a power: which direction is positive.
    #[serde(default)]
    pub sign: Sign,
    /// The bit pattern that means "no value", most significant word first, as `0x…`.
    pub not_available: Option<String>,
    /// Some devices of the model do not have it.
    #[serde(default)]
    pub optional: bool,
    /// The counter may come with a negative sign, which means nothing.
    #[serde(default)]
    pub absolute: bool,
    /// For a state: the value it must have.
    pub must_equal: Option<i64>,
    /// The range, in V or Hz, outside of which the template, its word order or the device is wrong.
    pub plausible: Option<[f64; 2]>,
    /// How sure its sources make it.
    pub confidence: String,
    /// What else is to be known.
    pub note: Option<String>,
}

impl RegisterPoint {
    /// How many registers it spans.
    #[must_use]
    pub fn word_count(&self) -> u16 {
        self.value_type.words().or(self.words).unwrap_or(1)
    }

    /// The "no value" pattern as a number; `None` if there is none.
    #[must_use]
    pub fn not_available_bits(&self) -> Option<u64> {
        let text = self.not_available.as_deref()?;
        u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
    }
}

/// A value in the messages of an MQTT device.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessagePoint {
    /// The topics it comes on; `{topic}` stands for the device's own prefix. The values of several
    /// topics are added, and none may be missing.
    pub topics: Vec<String>,
    /// The JSON pointer to it in the payload; empty for a payload that is nothing but the value. Its last
    /// key may be several, separated by `|`, of which the first that is there counts; keys joined by `+` are
    /// added, and none may be missing.
    #[serde(default)]
    pub pointer: String,
    /// Where else it may be, tried in this order if it is not there.
    #[serde(default)]
    pub or: Vec<Place>,
    /// What a list of numbers in its place means.
    #[serde(default)]
    pub list: ListRule,
    /// The number times ten to this power is in `unit`.
    #[serde(default)]
    pub scale_pow10: i32,
    /// Its unit after the scale.
    #[serde(default)]
    pub unit: Unit,
    /// For a power: which direction is positive.
    #[serde(default)]
    pub sign: Sign,
    /// Some devices of the model do not have it.
    #[serde(default)]
    pub optional: bool,
    /// How sure its sources make it.
    pub confidence: String,
    /// What else is to be known.
    pub note: Option<String>,
}

/// A place in a message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The topic; `{topic}` stands for the device's own prefix.
    pub topic: String,
    /// The JSON pointer in the payload. A `*` in it stands for any one key, and keys after it are
    /// compared without case: some firmware lets its user choose names.
    #[serde(default)]
    pub pointer: String,
}

/// What a list of numbers means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListRule {
    /// It is no value.
    #[default]
    Refuse,
    /// One a phase, in a list or each under a name: the value is their sum.
    Sum,
    /// One a phase: the value is the first.
    First,
}
