use super::*;

fn read_bytes(text: &[u8]) -> Result<Vec<ListedOrder>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.csv");
    std::fs::write(&path, text).unwrap();
    read(&path).map_err(|error| error.to_string())
}

fn read_text(text: &str) -> Result<Vec<ListedOrder>, String> {
    read_bytes(text.as_bytes())
}

const HEADER: &str = "side,id,member,energy_wh,price_micro_per_kwh\n";
const WIDE: &str = "side,id,member,energy_wh,price_micro_per_kwh,zone,prefer,premium_micro_per_kwh,kind\n";

#[test]
fn reads_orders_by_number_or_by_place() {
    let ids = |text: &str| {
        let orders = read_text(&format!("{HEADER}{text}")).unwrap();
        orders.iter().map(|order| order.id.0).collect::<Vec<_>>()
    };
    assert_eq!(ids("bid,9,a,1,2\noffer, 4 ,b,1,2\n"), [9, 4]);
    assert_eq!(ids("bid,9,a,1,2\noffer,x4,b,1,2\n"), [1, 2]);
    assert_eq!(ids("bid,9,a,1,2\noffer,99999999999999999999,b,1,2\n"), [1, 2]);
    assert_eq!(ids(""), Vec::<i64>::new());
}

#[test]
fn each_mistake_names_its_line_and_column() {
    for (line, word) in [
        ("hold,1,a,1,2", "side \"hold\": use bid or offer"),
        (",1,a,1,2", "side \"\""),
        ("bid,,a,1,2", "id must not be empty"),
        ("bid,1,,5,2", "member must not be empty"),
        ("bid,1,a,0,2", "energy_wh 0"),
        ("bid,1,a,-4,2", "energy_wh -4"),
        ("bid,1,a,1.5,2", "energy_wh \"1.5\" is not a whole number"),
        ("bid,1,a,1.0,2", "not a whole number"),
        ("bid,1,a,\"1,000\",2", "energy_wh \"1,000\" is not a whole number"),
        ("bid,1,a,99999999999999999999,2", "energy_wh 99999999999999999999 is far out of range"),
        ("bid,1,a,9999999999999,2", "energy_wh 9999999999999: use 1 to"),
        ("bid,1,a,+5,2", "not a whole number"),
        ("bid,1,a,1e3,2", "not a whole number"),
        ("bid,1,a,NaN,2", "not a whole number"),
        ("bid,1,a,,2", "energy_wh \"\" is not a whole number"),
        ("bid,1,a,1,0.25", "price_micro_per_kwh \"0.25\" is not a whole number"),
        ("bid,1,a,1,1000000000001", "price_micro_per_kwh 1000000000001"),
        ("bid,1,a,1,-2", "price_micro_per_kwh -2"),
        ("bid,1,a,1", "4 columns instead of 5"),
        ("bid,1,a,1,2,3", "6 columns instead of 5"),
        ("bid,2,a,1,2", "id \"2\" was used on line 2"),
    ] {
        let error = read_text(&format!("{HEADER}bid,2,a,1,2\n{line}\n")).unwrap_err();
        assert!(error.contains("orders.csv:3: ") && error.contains(word), "{error}");
    }
}

#[test]
fn columns_come_in_any_order_and_each_mistake_in_the_header_is_named() {
    let orders =
        read_text("Price_micro_per_kWh, member ,ENERGY_WH,side,zone,id\n2,a,7,bid,north,3\n").unwrap();
    let order = &orders[0];
    assert_eq!((order.energy.wh(), order.limit.micro_per_kwh(), order.zone.as_str()), (7, 2, "north"));
    for (header, word) in [
        ("", "`side` is missing"),
        (
            "side,id\n",
            "`member` is missing: use side,id,member,energy_wh,price_micro_per_kwh and any of zone",
        ),
        ("bid,1,a,1,2\n", "must name the columns"),
        ("side,id,member,energy_kwh,price_micro_per_kwh\n", "`energy_wh` is missing"),
        ("side,id,member,energy_wh,price_micro_per_kwh,tif\n", "the column \"tif\" is not known: use side"),
        ("side,id,member,energy_wh,price_micro_per_kwh,side\n", "\"side\" is named twice"),
        ("side;id;member;energy_wh;price_micro_per_kwh\n", "separated by commas"),
        ("side\tid\tmember\tenergy_wh\tprice_micro_per_kwh\n", "separated by commas"),
    ] {
        let error = read_text(header).unwrap_err();
        assert!(error.contains("orders.csv:1: ") && error.contains(word), "{error}");
    }
}

#[test]
fn other_programs_files_are_read() {
    let of = |text: &str| {
        let orders = read_text(text).unwrap();
        orders.iter().map(|o| (o.side, o.name.clone(), o.energy.wh())).collect::<Vec<_>>()
    };
    let expected = [(Side::Bid, "1".to_owned(), 7), (Side::Offer, "2".to_owned(), 8)];
    for text in [
        format!("\u{feff}{HEADER}bid,1,a,7,2\noffer,2,b,8,2\n"),
        format!("{HEADER}bid,1,a,7,2\noffer,2,b,8,2\n").replace('\n', "\r\n"),
        format!("{HEADER}bid,1,a,7,2\noffer,2,b,8,2").replace('\n', "\r"),
        format!("\n\n{HEADER}\nbid,1,a,7,2\n   \n,,,,\noffer,2,b,8,2\n\n"),
        "\"side\",\"id\",\"member\",\"energy_wh\",\"price_micro_per_kwh\"\n\"bid\",\"1\",\"a\",\"7\",\"2\"\noffer,2,\"b, c\",8,2\n"
            .to_owned(),
        format!("{HEADER} BUY , 1,a, 7 ,2\nSell,2,b,8, 2\n"),
        format!("{HEADER}Bid,1,a,7,2\nask,2,b,8,2\n"),
    ] {
        assert_eq!(of(&text), expected, "{text:?}");
    }
}

#[test]
fn what_is_no_text_is_refused_with_its_line() {
    let error = read_bytes(&[HEADER.as_bytes(), b"bid,1,a,1,2\nbid,2,\xff,1,2\n"].concat()).unwrap_err();
    assert!(error.contains("orders.csv:3: not UTF-8"), "{error}");
    let wide: Vec<u8> = HEADER.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(read_bytes(&[b"\xff\xfe".as_slice(), &wide].concat()).unwrap_err().contains("not UTF-8"));
    let open = read_text(&format!("{HEADER}bid,1,\"a,1,2\nbid,2,b,1,2\n")).unwrap_err();
    assert!(
        open.contains("orders.csv:2: 3 columns instead of 5") && open.contains("close every quote"),
        "{open}"
    );
    let folder = tempfile::tempdir().unwrap();
    assert!(read(folder.path()).is_err() && read(&folder.path().join("none.csv")).is_err());
}

#[test]
fn attributes_are_read_or_refused_with_their_column() {
    let rows = "offer,1,anna,9,5,north,,,green\noffer,2,b,9,5,,any,0,other\nbid,3,c,9,5,south,Local,7,\n\
                bid,4,d,9,5,,b + anna,,\nbid,5,e,9,5,,green,1,green\n";
    let orders = read_text(&format!("{WIDE}{rows}")).unwrap();
    let zones: Vec<&str> = orders.iter().map(|order| order.zone.as_str()).collect();
    assert_eq!(zones, ["north", "main", "south", "main", "main"]);
    let green: Vec<bool> = orders.iter().map(|order| order.green).collect();
    assert_eq!(green, [true, false, false, false, false], "a bid's kind says nothing");
    let wishes: Vec<&str> = orders.iter().map(|order| order.wish.preference().as_str()).collect();
    assert_eq!(wishes, ["any", "any", "local", "partners", "green"]);
    let partners = orders[3].wish.preference().partners();
    assert_eq!(partners, [orders[1].member.clone(), orders[0].member.clone()]);
    assert_eq!(orders[2].wish.premium().micro_per_kwh(), 7);
    let many: Vec<String> = (0..17).map(|number| format!("p{number}")).collect();
    for (line, word) in [
        ("bid,1,a,1,2,no rth,,,", "zone: "),
        ("bid,1,a,1,2,,b+b,,", "prefer: "),
        (&format!("bid,1,a,1,2,,{},,", many.join("+")), "prefer: "),
        ("bid,1,a,1,2,,local,-1,", "premium_micro_per_kwh -1"),
        ("bid,1,a,1,2,,local,x,", "premium_micro_per_kwh \"x\""),
        ("bid,1,a,1,2,,,5,", "premium_micro_per_kwh: "),
        ("offer,1,a,1,2,,local,,", "are for bids"),
        ("offer,1,a,1,2,,,,coal", "kind \"coal\": use green or other"),
    ] {
        let error = read_text(&format!("{WIDE}{line}\n")).unwrap_err();
        assert!(error.contains("orders.csv:2: ") && error.contains(word), "{error}");
    }
}

#[test]
fn ids_that_are_one_number_count_by_their_place() {
    let orders = read_text(&format!("{HEADER}bid,9,a,7,2\nbid,09,b,7,2\nbid,3,c,7,2\n")).unwrap();
    assert_eq!(orders.iter().map(|order| order.id.0).collect::<Vec<_>>(), [1, 2, 3]);
    let orders = read_text(&format!("{HEADER}bid,9,a,7,2\nbid,3,b,7,2\n")).unwrap();
    assert_eq!(orders.iter().map(|order| order.id.0).collect::<Vec<_>>(), [9, 3]);
}

#[test]
fn bids_and_offers_may_be_numbered_each_for_themselves() {
    let orders = read_text(&format!("{HEADER}b,2,a,7,2\nB,1,b,7,2\ns,1,c,7,2\nS,2,d,7,2\n")).unwrap();
    assert_eq!(orders.iter().map(|order| order.id.0).collect::<Vec<_>>(), [3, 1, 2, 4]);
    let error = read_text(&format!("{HEADER}bid,1,a,7,2\noffer,1,b,7,2\nbid,1,c,7,2\n")).unwrap_err();
    assert!(error.contains("orders.csv:4: id \"1\" was used on line 2"), "{error}");
}

#[test]
fn a_column_without_a_name_and_a_zone_too_many_are_named() {
    let error = read_text(&format!(",{HEADER}0,bid,1,a,7,2\n")).unwrap_err();
    assert!(error.contains("orders.csv:1: column 1 has no name"), "{error}");
    let rows: String = (1..18).map(|zone| format!("bid,{zone},a,1,2,z{zone},,,\n")).collect();
    let error = read_text(&format!("{WIDE}{rows}")).unwrap_err();
    assert!(error.contains("orders.csv:18: a community has at most 16 zones"), "{error}");
}
