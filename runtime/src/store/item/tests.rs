use super::*;

const NEURON: Neuron = Neuron { layer: 1, index: 7 };
const GENERATION: Generation = Generation(3);
const COMMIT: CommitPoint = CommitPoint {
    number: 5,
    tick: Tick(40),
};

fn state(weights: usize, moments: usize) -> NeuronState {
    let values = |count| (0..count).map(|i| i as f32 * 0.5 - 3.0).collect();
    NeuronState {
        weights: values(weights),
        moments: values(moments),
    }
}

fn rendered(state: &NeuronState) -> NeuronItems {
    render("demo", NEURON, GENERATION, COMMIT, state)
}

fn read(rendered: NeuronItems) -> Result<NeuronState, String> {
    let head = parse_head(rendered.head)?;
    let parts: Result<Vec<_>, _> = rendered.parts.into_iter().map(parse_part).collect();
    head.assemble(NEURON, &parts?)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn a_small_neuron_is_one_item_with_the_documented_attributes() {
    let NeuronItems { parts, head } = rendered(&state(2, 2));
    assert!(parts.is_empty());
    let mut names: Vec<_> = head.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "generation",
            "number",
            "optimizer",
            "pk",
            "sha256",
            "shape",
            "sk",
            "tick",
            "weights"
        ]
    );
    assert_eq!(head["pk"], text("demo#1#7"));
    assert_eq!(head["sk"], text("commit#1"));
    assert_eq!(head["generation"], number(3));
    assert_eq!(head["tick"], number(40));
    let bytes = [(-3.0_f32).to_le_bytes(), (-2.5_f32).to_le_bytes()].concat();
    assert_eq!(head["weights"], AttributeValue::B(Blob::new(bytes)));
}

#[test]
fn every_bit_of_odd_floats_survives() {
    let odd = [
        0x8000_0000, // -0.0
        0x0000_0001, // smallest subnormal
        0x7fc0_0001, // quiet NaN with a payload
        0xffa1_2345, // signalling NaN with a payload
        0x7f80_0000, // infinity
    ]
    .map(f32::from_bits)
    .to_vec();
    let state = NeuronState {
        weights: odd.clone(),
        moments: odd.clone(),
    };
    let read = read(rendered(&state)).unwrap();
    assert_eq!(bits(&read.weights), bits(&odd));
    assert_eq!(bits(&read.moments), bits(&odd));
}

#[test]
fn a_neuron_is_split_exactly_when_its_values_do_not_fit() {
    let fits = MAX_VALUE_BYTES / size_of::<f32>();
    for (weights, moments, parts) in [
        (fits, 0, 0),
        (fits + 1, 0, 2),
        (0, fits, 0),
        (fits / 2, fits / 2 + 1, 2),
        (fits, fits, 2),
        (fits, fits + 1, 3),
    ] {
        let state = state(weights, moments);
        let rendered = rendered(&state);
        assert_eq!(rendered.parts.len(), parts, "{weights} + {moments}");
        assert_eq!(rendered.head.contains_key("weights"), parts == 0);
        assert_eq!(read(rendered).unwrap(), state);
    }
}

#[test]
fn parts_sort_by_generation_then_commit_between_the_slots_bounds() {
    let sk = |generation, number| {
        let commit = CommitPoint { number, ..COMMIT };
        part_sk(Generation(generation), commit, "ffffffffffffffffffff", 9)
    };
    let ours = parts_prefix(GENERATION, COMMIT);
    for older in [sk(3, 3), sk(2, 5), sk(2, 999), sk(1, 7)] {
        assert!(older < ours && older > first_part_sk(COMMIT), "{older}");
    }
    for kept in [sk(3, 5), sk(3, 7), sk(4, 1), sk(10, 1)] {
        assert!(kept > ours, "{kept}");
    }
    assert!(head_sk(COMMIT) < first_part_sk(COMMIT));
}

#[test]
fn a_head_names_the_keys_of_its_parts() {
    let NeuronItems { parts, head } = rendered(&state(150_000, 0));
    let named = parse_head(head).unwrap().part_sks();
    let written: Vec<_> = parts.iter().map(|part| part["sk"].clone()).collect();
    assert_eq!(named.into_iter().map(text).collect::<Vec<_>>(), written);
}

#[test]
fn any_damage_is_found_and_said() {
    type Damage = fn(&mut Item);
    let cases: [(&str, Damage); 9] = [
        ("no number `tick`", |item| drop(item.remove("tick"))),
        ("`number` is `-1`", |item| {
            item.insert("number".into(), number(-1));
        }),
        ("no `sha256`", |item| drop(item.remove("sha256"))),
        ("no `shape`", |item| drop(item.remove("shape"))),
        ("no binary `weights`", |item| {
            item.insert("weights".into(), text("0.5"));
        }),
        ("`weights` has 0 bytes", |item| {
            item.insert("weights".into(), AttributeValue::B(Blob::new([])));
        }),
        ("it has 12 bytes of values", |item| {
            item.insert("optimizer".into(), AttributeValue::B(Blob::new([])));
        }),
        ("`parts` is 900000000", |item| {
            item.insert("parts".into(), number(900_000_000));
        }),
        ("its content has SHA-256", |item| {
            item.insert("optimizer".into(), AttributeValue::B(Blob::new([0; 12])));
        }),
    ];
    for (expected, damage) in cases {
        let mut rendered = rendered(&state(3, 3));
        damage(&mut rendered.head);
        let problem = read(rendered).unwrap_err();
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn the_hash_covers_whose_state_of_when_it_is() {
    let values = state(3, 3);
    let own = parse_head(rendered(&values).head).unwrap();
    let other = Neuron { layer: 1, index: 8 };
    assert!(own.assemble(other, &[]).is_err());

    let mut moved = rendered(&values);
    moved.head.insert("tick".into(), number(41));
    assert!(read(moved).is_err());
}
