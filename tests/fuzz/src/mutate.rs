//! From seeds to inputs that are almost right.

use std::ops::Range;

use crate::random::Random;

/// Mutations of one input.
const STEPS_MAX: usize = 6;
/// Times a piece is repeated, for nesting and floods.
const REPEATS_MAX: usize = 300;

/// Numbers at which counters, lengths and signs turn.
const NUMBERS: [&str; 12] =
    ["0", "-1", "1", "127", "128", "255", "256", "65535", "65536", "2147483648", "4294967296", "18446744073709551616"];

/// Bytes that mean something to many a grammar.
const SIGNS: &[u8] = b"\r\n\t \0\"'<>&;:,=/@?%\\[](){}*#+-.!\x7f\x80\xff";

/// Makes inputs.
pub(crate) struct Mutator<'a> {
    random: Random,
    seeds: &'a [Vec<u8>],
    words: &'a [&'a str],
    largest: usize,
}

impl<'a> Mutator<'a> {
    /// Inputs of up to `largest` bytes.
    pub(crate) fn new(random: Random, seeds: &'a [Vec<u8>], words: &'a [&'a str], largest: usize) -> Self {
        Self { random, seeds, words, largest }
    }

    /// The next input.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        let mut input = self.random.one_of(self.seeds).cloned().unwrap_or_default();
        for _ in 0..=self.random.below(STEPS_MAX) {
            self.step(&mut input);
            input.truncate(self.largest);
        }
        input
    }

    fn step(&mut self, input: &mut Vec<u8>) {
        let at = self.random.below(input.len() + 1);
        let some = self.piece(input.len());
        match self.random.below(11) {
            0 => {
                let bit = 1 << self.random.below(8);
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= bit;
                }
            }
            1 => {
                let byte = self.random.byte();
                replace(input, at..at + 1, &[byte]);
            }
            2 => {
                let sign = self.random.one_of(SIGNS).copied();
                replace(input, at..at, sign.as_slice());
            }
            3 => replace(input, some, &[]),
            4 => {
                let copy = input[some].to_vec();
                replace(input, at..at, &copy);
            }
            5 => {
                let copy =
                    input[some.clone()].repeat(self.random.below(REPEATS_MAX).min(self.largest / some.len().max(1)));
                replace(input, at..at, &copy);
            }
            6 => self.splice(input, at),
            7 => {
                let word = self.random.one_of(self.words).map_or("", |word| word);
                replace(input, at..at, word.as_bytes());
            }
            8 => self.change_number(input, at),
            9 => input.truncate(at),
            _ => self.change_line(input, at),
        }
    }

    /// Puts a piece of another seed here.
    fn splice(&mut self, input: &mut Vec<u8>, at: usize) {
        let seeds = self.seeds;
        let Some(other) = self.random.one_of(seeds) else { return };
        let piece = self.piece(other.len());
        let over = self.random.below(2) * piece.len();
        replace(input, at..at + over, &other[piece]);
    }

    /// Replaces the next number.
    fn change_number(&mut self, input: &mut Vec<u8>, at: usize) {
        let Some(start) = input[at..].iter().position(u8::is_ascii_digit).map(|found| at + found) else { return };
        let length = input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = self.random.one_of(&NUMBERS).map_or("", |number| number);
        replace(input, start..start + length, number.as_bytes());
    }

    /// Removes or doubles the line here.
    fn change_line(&mut self, input: &mut Vec<u8>, at: usize) {
        let start = input[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |found| found + 1);
        let end = input[at..].iter().position(|byte| *byte == b'\n').map_or(input.len(), |found| at + found + 1);
        let line = if self.random.below(2) == 0 { Vec::new() } else { input[start..end].repeat(2) };
        replace(input, start..end, &line);
    }

    /// A piece, more often a short one.
    fn piece(&mut self, length: usize) -> Range<usize> {
        let start = self.random.below(length + 1);
        let most = if self.random.below(2) == 0 { 16 } else { length };
        start..(start + self.random.below(most + 1)).min(length)
    }
}

fn replace(input: &mut Vec<u8>, range: Range<usize>, with: &[u8]) {
    let range = range.start.min(input.len())..range.end.min(input.len());
    input.splice(range, with.iter().copied());
}
