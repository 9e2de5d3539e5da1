//! Reads meters and inverters over Modbus and MQTT, signs what it read, and delivers it.
