//! `tls-server-end-point` of RFC 5929: the hash of a server's certificate that a SCRAM login is bound to.
//!
//! The hash function is that of the certificate's signature, and is all that is read of the certificate:
//!
//! ```text
//! Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OBJECT IDENTIFIER, … }, … }
//! ```

use sha2::{Digest as _, Sha256, Sha384, Sha512};

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// The hash of a certificate in DER. `None`: its signature names no hash function, as Ed25519's does not.
pub(super) fn hash(certificate: &[u8]) -> Option<Vec<u8>> {
    // The contents of object identifiers: 1.2.840.113549.1.1 is RSA's, 1.2.840.10045.4 is ECDSA's.
    match signature_algorithm(certificate)? {
        // The RFC replaces SHA-1 by SHA-256.
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"
        | b"\x2a\x86\x48\xce\x3d\x04\x01"
        | b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"
        | b"\x2a\x86\x48\xce\x3d\x04\x03\x02" => Some(Sha256::digest(certificate).to_vec()),
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c" | b"\x2a\x86\x48\xce\x3d\x04\x03\x03" => {
            Some(Sha384::digest(certificate).to_vec())
        }
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d" | b"\x2a\x86\x48\xce\x3d\x04\x03\x04" => {
            Some(Sha512::digest(certificate).to_vec())
        }
        _ => None,
    }
}

/// The content of the object identifier of a certificate's signature.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (fields, _) = element(SEQUENCE, certificate)?;
    let (_signed, after) = element(SEQUENCE, fields)?;
    let (algorithm, _) = element(SEQUENCE, after)?;
    Some(element(OBJECT_IDENTIFIER, algorithm)?.0)
}

/// The content of the element that `der` begins with, which has to have this tag, and what comes after it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, der) = der.split_first()?;
    let (length, der) = der.split_first()?;
    // Below 128 it is the length itself, else the number of bytes that hold the length.
    let (length, der) = match usize::from(*length) {
        length @ ..128 => (length, der),
        bytes => {
            let (bytes, der) = der.split_at_checked(bytes - 128)?;
            let add = |length: usize, byte: &u8| length.checked_mul(256)?.checked_add(usize::from(*byte));
            (bytes.iter().try_fold(0, add)?, der)
        }
    };
    (*first == tag).then(|| der.split_at_checked(length))?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate with this object identifier for its signature, and as much as `length` bytes that are signed.
    fn certificate(identifier: &[u8], length: u16) -> Vec<u8> {
        let mut fields = [&[SEQUENCE, 0x82], &length.to_be_bytes()[..], &vec![0; usize::from(length)]].concat();
        let size = u8::try_from(identifier.len()).unwrap();
        fields.extend([SEQUENCE, size + 4, OBJECT_IDENTIFIER, size]);
        fields.extend(identifier);
        fields.extend(*b"\x05\x00\x03\x01\x00");
        let size = u16::try_from(fields.len()).unwrap().to_be_bytes();
        [&[SEQUENCE, 0x82], &size[..], &fields].concat()
    }

    #[test]
    fn the_signature_says_which_hash() {
        for (identifier, size) in [
            // sha1WithRSAEncryption, ecdsa-with-SHA1
            (&b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"[..], Some(32)),
            (b"\x2a\x86\x48\xce\x3d\x04\x01", Some(32)),
            // sha256WithRSAEncryption, sha384…, sha512…
            (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", Some(32)),
            (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c", Some(48)),
            (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", Some(64)),
            // ecdsa-with-SHA256, …-SHA384, …-SHA512
            (b"\x2a\x86\x48\xce\x3d\x04\x03\x02", Some(32)),
            (b"\x2a\x86\x48\xce\x3d\x04\x03\x03", Some(48)),
            (b"\x2a\x86\x48\xce\x3d\x04\x03\x04", Some(64)),
            // Ed25519, RSASSA-PSS
            (b"\x2b\x65\x70", None),
            (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", None),
        ] {
            let certificate = certificate(identifier, 300);
            assert_eq!(hash(&certificate).map(|hash| hash.len()), size, "{identifier:x?}");
        }
    }

    #[test]
    fn the_hash_is_that_of_the_whole_certificate() {
        let certificate = certificate(b"\x2a\x86\x48\xce\x3d\x04\x03\x02", 5);
        assert_eq!(hash(&certificate).unwrap(), Sha256::digest(&certificate).to_vec());
    }

    #[test]
    fn what_is_not_a_certificate_has_no_hash() {
        let whole = certificate(b"\x2a\x86\x48\xce\x3d\x04\x03\x02", 200);
        let signature = 4 + 4 + 200;
        for length in 0..signature + 12 {
            assert_eq!(hash(&whole[..length]), None, "{length}");
        }
        let mut other = whole;
        other[signature] = 0x31;
        assert_eq!(hash(&other), None);
        assert_eq!(hash(b"\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }
}
