use switchboard_sim::{Mutant, Options, REGRESSIONS, run};

/// Seeds of the test command; `cargo xtask sim --seeds N` tries more.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=200;

#[track_caller]
fn check(seed: u64) {
    let outcome = run(seed, Options::default());
    assert_eq!(
        outcome.failure, None,
        "see it happen: cargo xtask sim --seed {seed}"
    );
}

#[test]
fn what_has_to_hold_holds_in_two_hundred_worlds() {
    // Two threads, since there are two cores: each world has its own and knows no other.
    std::thread::scope(|scope| {
        for half in 0..2 {
            scope.spawn(move || SEEDS.filter(|seed| seed % 2 == half).for_each(check));
        }
    });
}

#[test]
fn what_once_failed_holds() {
    for (seed, _what) in REGRESSIONS {
        check(*seed);
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in [1, 2, 3, 5, 8, 13, 21, 34, 55, 89] {
        let once = run(seed, Options::default());
        let again = run(seed, Options::default());
        assert_eq!(once, again, "seed {seed}");
        let other = run(seed + 1000, Options::default());
        assert_ne!(once.hash, other.hash, "seed {seed}");
    }
}

#[test]
fn each_defect_is_found_within_two_hundred_worlds() {
    for mutant in Mutant::ALL {
        let options = Options {
            mutant: Some(mutant),
            ..Options::default()
        };
        let found = SEEDS
            .map(|seed| run(seed, options))
            .find(|outcome| outcome.failure.is_some());
        assert!(found.is_some(), "nobody noticed {mutant:?}");
    }
}
