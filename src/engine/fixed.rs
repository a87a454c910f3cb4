//! Sums that come out the same in any order: fixed-point integers in place of floats.
//!
//! Adding a float rounds it once to a multiple of 2^-F; from then on everything is integer
//! arithmetic, so any split of the rows, any order and any crash give the same bits, and what was
//! added can be taken away exactly. A float appears again only when a sum is read.

use serde::{Deserialize, Serialize};

/// A multiple of 2^-`F`.
///
/// A sum has to stay below 2^(127 - `F`), so the caller bounds its values: with `F` = 80, 2^32
/// values of at most 2^14 fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fixed<const F: u32>(i128);

/// 2^`exponent`, for exponents of normal doubles.
const fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

impl<const F: u32> Fixed<F> {
    pub const ZERO: Self = Self(0);

    /// The nearest multiple of 2^-`F`, halves away from 0; saturates, and NaN counts as 0.
    ///
    /// A double is a 53-bit integer times a power of two, so this is one shift: several times
    /// faster than to multiply, round and convert.
    pub fn of(value: f64) -> Self {
        const { assert!(F < 1000) };
        let bits = value.to_bits();
        let exponent = (bits >> 52 & 0x7ff) as i32;
        let fraction = bits & ((1 << 52) - 1);
        // Subnormals are far below any multiple, so only the normal form is read.
        let integer = i128::from(fraction | 1 << 52);
        let shift = exponent - 1075 + F as i32;
        let magnitude = if (0..=126 - 53).contains(&shift) {
            integer << shift
        } else if (-54..0).contains(&shift) {
            ((integer >> (-shift - 1)) + 1) >> 1
        } else if shift < 0 || value.is_nan() {
            0
        } else {
            i128::MAX
        };
        Self(if value < 0.0 { -magnitude } else { magnitude })
    }

    /// Wraps around, so that even a sum that has been out of range on the way is right in the end.
    pub fn plus(&mut self, other: &Self) {
        self.0 = self.0.wrapping_add(other.0);
    }

    pub fn minus(&mut self, other: &Self) {
        self.0 = self.0.wrapping_sub(other.0);
    }

    pub fn is_zero(&self) -> bool {
        self.0 == 0
    }

    pub fn to_f64(self) -> f64 {
        self.0 as f64 * power_of_two(-(F as i32))
    }
}

/// A sum of values of any size up to 2^74: small ones are kept to 2^-80, those of 2^14 and more to
/// 2^-20. Each value goes to one of the two lanes by its own size, so order does not matter.
///
/// The relative error of one value is below 2^-34 unless it is under 2^-46, where the absolute one
/// is 2^-81. At least 2^32 values fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    fine: Fixed<80>,
    coarse: Fixed<20>,
}

impl Sum {
    /// Values beyond this (about 1.9e22) are clipped to it.
    pub const LIMIT: f64 = power_of_two(74);
    const COARSE_FROM: f64 = power_of_two(14);

    /// The value as a sum of one, and whether it had to be clipped. NaN is clipped to 0.
    pub fn of(value: f64) -> (Self, bool) {
        if value.abs() < Self::COARSE_FROM {
            (Self { fine: Fixed::of(value), coarse: Fixed::ZERO }, false)
        } else {
            let clipped = value.is_nan() || value.abs() > Self::LIMIT;
            let value = value.clamp(-Self::LIMIT, Self::LIMIT);
            (Self { fine: Fixed::ZERO, coarse: Fixed::of(value) }, clipped)
        }
    }

    pub fn plus(&mut self, other: &Self) {
        self.fine.plus(&other.fine);
        self.coarse.plus(&other.coarse);
    }

    pub fn minus(&mut self, other: &Self) {
        self.fine.minus(&other.fine);
        self.coarse.minus(&other.coarse);
    }

    /// A sum is zero if its lanes are: what was added has been taken away.
    pub fn is_zero(&self) -> bool {
        self.fine.is_zero() && self.coarse.is_zero()
    }

    pub fn to_f64(self) -> f64 {
        self.coarse.to_f64() + self.fine.to_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_can_be_taken_away_exactly() {
        let values = [0.1, -3.7e5, 1e-11, 1e21, -16_384.0, 16_383.999, 2.5e-300];
        let mut sum = Sum::default();
        for value in values {
            sum.plus(&Sum::of(value).0);
        }
        for value in values.iter().rev() {
            sum.minus(&Sum::of(*value).0);
        }
        assert_eq!(sum, Sum::default());
        assert!(sum.is_zero());
    }

    #[test]
    fn a_float_becomes_the_nearest_multiple() {
        for (value, multiple) in [
            (0.0, 0),
            (-0.0, 0),
            (1.0, 1 << 20),
            (-3.5, -7 << 19),
            (0.49 * power_of_two(-20), 0),
            (0.5 * power_of_two(-20), 1),
            (-1.49 * power_of_two(-20), -1),
            (1.51 * power_of_two(-20), 2),
            (5e-324, 0),
            (1e-9, 0),
            (power_of_two(70), 1 << 90),
            (f64::NAN, 0),
            (f64::MAX, i128::MAX),
            (f64::NEG_INFINITY, -i128::MAX),
        ] {
            assert_eq!(Fixed::<20>::of(value).0, multiple, "{value}");
        }
        // Against the way round: multiply (exact), round, convert.
        for i in 1..2000 {
            let value = f64::from(i * i % 977) * 1.234_567_891_234e-7 * power_of_two(i % 60 - 30);
            let expected = (value * power_of_two(40)).round() as i128;
            assert_eq!(Fixed::<40>::of(value).0, expected, "{value}");
            assert_eq!(Fixed::<40>::of(-value).0, -expected, "{value}");
        }
    }

    #[test]
    fn a_single_value_keeps_ten_digits_whatever_its_size() {
        for exponent in -46..74 {
            for mantissa in [1.0, 1.000_000_123, 1.7, 1.999_999_999_9] {
                let value = mantissa * power_of_two(exponent);
                if value <= Sum::LIMIT {
                    let (sum, clipped) = Sum::of(value);
                    assert!(!clipped);
                    let error = (sum.to_f64() - value).abs() / value;
                    assert!(error < power_of_two(-34), "{value}: {error}");
                }
            }
        }
    }

    #[test]
    fn values_beyond_the_limit_are_clipped_and_say_so() {
        assert_eq!(Sum::of(f64::INFINITY), (Sum::of(Sum::LIMIT).0, true));
        assert_eq!(Sum::of(f64::NEG_INFINITY), (Sum::of(-Sum::LIMIT).0, true));
        assert_eq!(Sum::of(f64::NAN), (Sum::default(), true));
        assert!(!Sum::of(Sum::LIMIT).1);
        assert!(Sum::of(Sum::LIMIT * 1.001).1);
    }

    #[test]
    fn two_to_the_32_values_at_the_limit_do_not_overflow() {
        for limit in [Sum::of(Sum::LIMIT).0, Sum::of(16_383.999).0] {
            let mut sum = limit;
            for _ in 0..32 {
                let half = sum;
                sum.plus(&half);
            }
            let expected = limit.to_f64() * power_of_two(32);
            assert_eq!(sum.to_f64(), expected);
        }
    }
}
