//! Every kernel, on every instruction set of this machine, against plain loops over drawn shapes.

use half::f16;
use proptest::prelude::*;

use super::*;
use crate::engine::cpu::kernels::tests::values;

fn expected(query: &[f32], rows: &[f32]) -> Vec<f32> {
    let dot = |row: &[f32]| query.iter().zip(row).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32;
    rows.chunks_exact(query.len()).map(dot).collect()
}

fn close(a: &[f32], b: &[f32], tolerance: f32) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn one_query_meets_every_row(len in 1usize..150, count in 0usize..23, seed: u64) {
        let (query, rows) = (values(len, seed), values(len * count, seed ^ 1));
        let halves: Vec<f16> = rows.iter().map(|&value| f16::from_f32(value)).collect();
        let widened: Vec<f32> = halves.iter().map(|half| half.to_f32()).collect();
        let half_bits: Vec<u16> = halves.iter().map(|half| half.to_bits()).collect();
        let whole: Vec<i8> = rows.iter().map(|value| (value * 127.9) as i8).collect();
        let whole_widened: Vec<f32> = whole.iter().map(|&value| f32::from(value)).collect();
        for scanner in Scanner::available() {
            let mut out = vec![f32::NAN; count];
            scanner.dots_f32(&query, &rows, &mut out);
            prop_assert!(close(&out, &expected(&query, &rows), 2e-5), "f32 on {}", scanner.name());
            scanner.dots_f16(&query, &half_bits, &mut out);
            prop_assert!(close(&out, &expected(&query, &widened), 2e-5), "f16 on {}", scanner.name());
            scanner.dots_i8(&query, &whole, &mut out);
            prop_assert!(close(&out, &expected(&query, &whole_widened), 2e-3), "i8 on {}", scanner.name());
            let mut wide = vec![f32::NAN; rows.len()];
            scanner.widen_f16(&half_bits, &mut wide);
            prop_assert_eq!(&wide, &widened);
            scanner.widen_i8(&whole, &mut wide);
            prop_assert_eq!(&wide, &whole_widened);
        }
    }

    #[test]
    fn many_queries_meet_every_row(len in 1usize..70, count in 0usize..40, queries in 1usize..=TOGETHER, seed: u64) {
        let (all, rows) = (values(len * queries, seed), values(len * count, seed ^ 1));
        for scanner in Scanner::available() {
            let packed = scanner.pack(&all, len);
            prop_assert_eq!(packed.count(), queries);
            let mut out = vec![f32::NAN; count * packed.columns()];
            scanner.products(&packed, &rows, &mut out);
            for (column, query) in all.chunks_exact(len).enumerate() {
                let found: Vec<f32> = out.chunks_exact(packed.columns()).map(|row| row[column]).collect();
                prop_assert!(close(&found, &expected(query, &rows), 2e-5), "query {} on {}", column, scanner.name());
            }
        }
    }

    #[test]
    fn differing_bits_are_counted(words in 1usize..20, count in 0usize..20, seed: u64) {
        let bits = |len: usize, seed: u64| -> Vec<u64> {
            (0..len as u64).map(|index| (index ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31)).collect()
        };
        let (query, rows) = (bits(words, seed), bits(words * count, !seed));
        let differ = |row: &[u64]| {
            (0..64 * words).filter(|bit| (query[bit / 64] ^ row[bit / 64]) >> (bit % 64) & 1 == 1).count() as u16
        };
        let expected: Vec<u16> = rows.chunks_exact(words).map(differ).collect();
        for scanner in Scanner::available() {
            let mut out = vec![u16::MAX; count];
            scanner.differing_bits(&query, &rows, &mut out);
            prop_assert_eq!(&out, &expected);
        }
    }
}

#[test]
fn every_half_float_is_widened() {
    let halves: Vec<u16> = (0..=u16::MAX).filter(|&bits| f16::from_bits(bits).is_finite()).collect();
    for scanner in Scanner::available() {
        let mut wide = vec![f32::NAN; halves.len()];
        scanner.widen_f16(&halves, &mut wide);
        let wrong = halves.iter().zip(&wide).find(|&(&bits, wide)| f16::from_bits(bits).to_f32() != *wide);
        assert_eq!(wrong, None, "on {}", scanner.name());
    }
}
