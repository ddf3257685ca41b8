//! Detection of weak RSA keys (CVE-2017-15361, "ROCA", Nemec et al., CCS 2017).
//!
//! The vulnerable generator draws primes that are powers of 65537 modulo many small primes. The
//! modulus is then a power of 65537 modulo these primes as well, and can be factored.

/// The small primes whose residues identify the generator.
const PRIMES: [u32; 20] =
    [3, 5, 7, 11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];

/// Returns whether a big-endian modulus seems to come from the vulnerable generator.
///
/// Any other modulus is suspect by chance about once in 2^27.
#[must_use]
pub(crate) fn is_suspect(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|prime| is_power_of_65537(residue(modulus, *prime), *prime))
}

/// Returns a big-endian modulus modulo a prime.
fn residue(modulus: &[u8], prime: u32) -> u32 {
    modulus.iter().fold(0, |rest: u32, byte| {
        rest.wrapping_mul(256).wrapping_add(u32::from(*byte)).checked_rem(prime).unwrap_or(0)
    })
}

fn is_power_of_65537(residue: u32, prime: u32) -> bool {
    let next = |power: &u32| power.wrapping_mul(65537).checked_rem(prime);
    core::iter::successors(Some(1), next).take(prime as usize).any(|power| power == residue)
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn residues_are_those_of_the_number() {
        for (modulus, prime) in [(0x0102_0304_u32, 157), (u32::MAX, 3), (97 * 103, 97)] {
            assert_eq!(residue(&modulus.to_be_bytes(), prime), modulus % prime);
        }
    }

    #[test]
    fn a_power_of_65537_is_suspect_and_its_neighbour_is_not() {
        // 65537^3
        let cube = 65537_u128.pow(3);
        assert!(is_suspect(&cube.to_be_bytes()));
        assert!(!is_suspect(&(cube + 2).to_be_bytes()));
        assert!(!is_suspect(&[]), "zero");
    }
}
