//! RSA moduli of the generator of CVE-2017-15361 ("ROCA", Nemec et al., CCS 2017): their primes are
//! powers of 65537 modulo many small primes, so the modulus is one as well, and can be factored.

/// The small primes whose residues give the generator away.
const PRIMES: [u32; 20] =
    [3, 5, 7, 11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];

/// Whether a big-endian modulus has the generator's mark; another one has it by chance once in
/// about 2^27.
#[must_use]
pub(crate) fn is_suspect(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|prime| is_power_of_65537(residue(modulus, *prime), *prime))
}

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
