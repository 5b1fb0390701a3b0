//! The file of one recording. It has another name until it is complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use mcu_api::{Codec, RecordingFormat};
use mixer::{CodecFactory, Encoder, EncoderSettings, FRAME_SAMPLES, Frame, PACKET_BYTES_MAX, SAMPLE_RATE};
use ogg::PacketWriter;
use ogg::writing::PacketWriteEndInfo;
use prompts::{OpusHead, OpusTags};

/// The longest name without extension.
const NAME_MAX: usize = 200;
/// Read and written by the server's user alone: it is what people said.
const MODE: u32 = 0o600;
/// Files of one name; a further one fails.
const SAME_NAME_MAX: u32 = 1_000;
/// Samples the encoder is late by, and the player leaves out at the beginning.
const PRE_SKIP: u16 = 312;
/// Packets on one page, and frames after which what is written is handed to the system: 1 s, what is lost when the process
/// stops.
const PAGE_PACKETS: u64 = 50;
/// What stands before the extension of a file that did not come to its end.
const INCOMPLETE: &str = "incomplete";
/// Number of the one stream in each file.
const STREAM: u32 = 1;

/// A recording being written.
pub(crate) struct RecordingFile {
    sound: Sound<BufWriter<File>>,
    partial: PathBuf,
    complete: PathBuf,
    /// Frames written, and those of them the system has.
    frames: u64,
    safe: u64,
}

impl RecordingFile {
    /// Begins a file called `name` in the folder, which is made if need be. A file that exists is not touched: a number
    /// is added to the name.
    pub(crate) fn create(
        folder: &Path,
        name: &str,
        format: RecordingFormat,
        codecs: &dyn CodecFactory,
    ) -> io::Result<Self> {
        let readable = |letter: char| letter.is_alphanumeric() || "-_.+ ()".contains(letter);
        if name.is_empty() || name.len() > NAME_MAX || name.starts_with('.') || !name.chars().all(readable) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the name cannot be that of a file"));
        }
        fs::create_dir_all(folder)?;
        let extension = match format {
            RecordingFormat::Opus => "opus",
            RecordingFormat::Wav => "wav",
        };
        for number in 1..=SAME_NAME_MAX {
            let name = if number == 1 { format!("{name}.{extension}") } else { format!("{name}-{number}.{extension}") };
            let (complete, partial) = (folder.join(&name), folder.join(format!(".{name}.part")));
            if complete.exists() {
                continue;
            }
            match File::options().read(true).write(true).create_new(true).mode(MODE).open(&partial) {
                Ok(file) => {
                    let sound = Sound::begin(BufWriter::new(file), format, codecs)?;
                    return Ok(Self { sound, partial, complete, frames: 0, safe: 0 });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "there are too many files of that name"))
    }

    /// One that never has room for anything.
    #[cfg(test)]
    pub(crate) fn on_a_full_disk(folder: &Path) -> Self {
        let full = BufWriter::new(File::options().write(true).open("/dev/full").expect("part of Linux"));
        let sound = Sound::begin(full, RecordingFormat::Wav, &codecs::Codecs).expect("the header waits in the buffer");
        Self { sound, partial: folder.join(".talk.wav.part"), complete: folder.join("talk.wav"), frames: 0, safe: 0 }
    }

    /// Adds 20 ms.
    pub(crate) fn write(&mut self, frame: &Frame) -> io::Result<()> {
        self.sound.write(frame)?;
        self.frames += 1;
        // The packet that ends a page is written with the next one.
        if self.frames % PAGE_PACKETS == 1 {
            self.sound.out().flush()?;
            self.safe = self.frames - 1;
        }
        Ok(())
    }

    /// How many frames are in the file for sure, whatever became of the last ones.
    pub(crate) const fn safe(&self) -> u64 {
        self.safe
    }

    /// Completes the file, gives it its name and answers that. One that is not `whole`, or cannot be completed, is named
    /// incomplete: what is in it can be heard.
    pub(crate) fn finish(self, whole: bool) -> (String, io::Result<()>) {
        let completed = self.sound.finish().and_then(|file| file.into_inner()?.sync_all());
        if completed.is_err() {
            // What keeps it from that is the error that is told.
            let _ = write_length(&self.partial);
        }
        let target = if whole && completed.is_ok() { self.complete } else { incomplete(&self.complete) };
        let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (name, completed.and(fs::rename(&self.partial, &target)))
    }
}

/// Gives files that were being written when a process died a name under which they are found, and WAVE its length, which is
/// else written at the end; answers these names.
pub(crate) fn recover(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let recovered = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let target = incomplete(&folder.join(name.strip_prefix('.')?.strip_suffix(".part")?));
        if target.exists() {
            return None;
        }
        write_length(&entry.path()).and_then(|()| fs::rename(entry.path(), &target)).ok().map(|()| target)
    });
    let mut names: Vec<String> =
        recovered.filter_map(|target| Some(target.file_name()?.to_string_lossy().into_owned())).collect();
    names.sort_unstable();
    names
}

/// Gives a WAVE file that was not completed the length of what is in it. Other formats need none.
fn write_length(partial: &Path) -> io::Result<()> {
    if !partial.to_string_lossy().ends_with(".wav.part") {
        return Ok(());
    }
    let mut file = File::options().write(true).open(partial)?;
    let data = file.metadata()?.len().saturating_sub(wav_header(0).len() as u64);
    let whole_samples = u32::try_from(data).unwrap_or(u32::MAX - 64) & !1;
    file.write_all(&wav_header(whole_samples))
}

/// `NAME.opus` as `NAME.incomplete.opus`.
fn incomplete(complete: &Path) -> PathBuf {
    let extension = complete.extension().unwrap_or_default().to_string_lossy();
    complete.with_extension(format!("{INCOMPLETE}.{extension}"))
}

/// The sound in the form of its file.
enum Sound<W: Write + Seek> {
    Wav { out: W, bytes: u32 },
    Opus(Box<OpusSound<W>>),
}

struct OpusSound<W: Write> {
    out: PacketWriter<'static, W>,
    encoder: Box<dyn Encoder>,
    /// The last packet of a stream is marked, so each waits for its successor.
    waiting: Option<Vec<u8>>,
    packets: u64,
}

impl<W: Write + Seek> Sound<W> {
    fn begin(mut out: W, format: RecordingFormat, codecs: &dyn CodecFactory) -> io::Result<Self> {
        if format == RecordingFormat::Wav {
            out.write_all(&wav_header(0))?;
            return Ok(Self::Wav { out, bytes: 0 });
        }
        let encoder = codecs.encoder(EncoderSettings::for_mix(Codec::Opus, false)).map_err(io::Error::other)?;
        let mut out = PacketWriter::new(out);
        out.write_packet(OpusHead { channels: 1, pre_skip: PRE_SKIP }.write(), STREAM, PacketWriteEndInfo::EndPage, 0)?;
        let tags = OpusTags { title: "Conference".to_owned() };
        out.write_packet(tags.write(), STREAM, PacketWriteEndInfo::EndPage, 0)?;
        Ok(Self::Opus(Box::new(OpusSound { out, encoder, waiting: None, packets: 0 })))
    }

    fn write(&mut self, frame: &Frame) -> io::Result<()> {
        match self {
            Self::Wav { out, bytes } => {
                let room = bytes.checked_add(2 * FRAME_SAMPLES as u32).filter(|bytes| *bytes < u32::MAX - 64);
                let full = || io::Error::new(io::ErrorKind::FileTooLarge, "the file is as long as WAVE can be");
                let after = room.ok_or_else(full)?;
                let mut data = [0; 2 * FRAME_SAMPLES];
                for (data, sample) in data.chunks_exact_mut(2).zip(frame) {
                    data.copy_from_slice(&sample.to_le_bytes());
                }
                out.write_all(&data)?;
                *bytes = after;
                Ok(())
            }
            Self::Opus(opus) => opus.write(frame),
        }
    }

    fn out(&mut self) -> &mut W {
        match self {
            Self::Wav { out, .. } => out,
            Self::Opus(opus) => opus.out.inner_mut(),
        }
    }

    /// Completes the sound and gives the file back.
    fn finish(self) -> io::Result<W> {
        match self {
            Self::Wav { mut out, bytes } => {
                out.seek(SeekFrom::Start(0))?;
                out.write_all(&wav_header(bytes))?;
                out.flush()?;
                Ok(out)
            }
            Self::Opus(opus) => opus.finish(),
        }
    }
}

impl<W: Write> OpusSound<W> {
    fn write(&mut self, frame: &Frame) -> io::Result<()> {
        let mut packet = [0; PACKET_BYTES_MAX];
        let length = self.encoder.encode(frame, &mut packet).map_err(io::Error::other)?;
        self.flush(PacketWriteEndInfo::NormalPacket)?;
        self.waiting = Some(packet[..length].to_vec());
        self.packets += 1;
        Ok(())
    }

    /// Writes the packet that waits; it ends a page now and then.
    fn flush(&mut self, end: PacketWriteEndInfo) -> io::Result<()> {
        let Some(packet) = self.waiting.take() else { return Ok(()) };
        let ends_page = end == PacketWriteEndInfo::NormalPacket && self.packets.is_multiple_of(PAGE_PACKETS);
        let end = if ends_page { PacketWriteEndInfo::EndPage } else { end };
        self.out.write_packet(packet, STREAM, end, self.packets * FRAME_SAMPLES as u64)
    }

    fn finish(mut self) -> io::Result<W> {
        // What the encoder still holds belongs to the sound; a frame of silence brings it out.
        self.write(&mixer::SILENCE)?;
        let end = (self.packets - 1) * FRAME_SAMPLES as u64 + u64::from(PRE_SKIP);
        let last = self.waiting.take().unwrap_or_default();
        self.out.write_packet(last, STREAM, PacketWriteEndInfo::EndStream, end)?;
        let mut out = self.out.into_inner();
        out.flush()?;
        Ok(out)
    }
}

/// The header of 16-bit mono PCM with so many bytes of data.
fn wav_header(bytes: u32) -> [u8; 44] {
    let mut header = [0; 44];
    header[..4].copy_from_slice(b"RIFF");
    header[4..8].copy_from_slice(&(bytes + 36).to_le_bytes());
    header[8..16].copy_from_slice(b"WAVEfmt ");
    header[16..20].copy_from_slice(&16u32.to_le_bytes());
    header[20..22].copy_from_slice(&1u16.to_le_bytes());
    header[22..24].copy_from_slice(&1u16.to_le_bytes());
    header[24..28].copy_from_slice(&SAMPLE_RATE.to_le_bytes());
    header[28..32].copy_from_slice(&(2 * SAMPLE_RATE).to_le_bytes());
    header[32..34].copy_from_slice(&2u16.to_le_bytes());
    header[34..36].copy_from_slice(&16u16.to_le_bytes());
    header[36..40].copy_from_slice(b"data");
    header[40..].copy_from_slice(&bytes.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use codecs::Codecs;
    use prompts::read_sound;

    use super::*;

    fn tone(number: usize) -> Frame {
        let step = std::f64::consts::TAU * 440.0 / 48_000.0;
        std::array::from_fn(|at| (8_000.0 * (step * (number * FRAME_SAMPLES + at) as f64).sin()) as i16)
    }

    #[test]
    fn what_was_written_can_be_read_and_is_as_long() {
        let folder = tempfile::tempdir().expect("a folder");
        for format in [RecordingFormat::Wav, RecordingFormat::Opus] {
            for again in ["", "-2"] {
                let mut file = RecordingFile::create(folder.path(), "7000 (1)", format, &Codecs).expect("created");
                (0..150).for_each(|number| file.write(&tone(number)).expect("written"));
                let (name, completed) = file.finish(true);
                completed.expect("complete");
                assert!(name.starts_with(&format!("7000 (1){again}.")), "{name}");
                let path = folder.path().join(name);
                let mode = fs::metadata(&path).expect("there").permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "nobody else hears it");
                let bytes = fs::read(path).expect("there");
                let samples = read_sound(&bytes, &Codecs).expect("a sound");
                assert_eq!(samples.len(), 150 * FRAME_SAMPLES, "{format:?}");
                let level = mixer::Level::measure(&samples[48_000..96_000]).dbov();
                assert!(level.abs_diff(15) <= 1, "{format:?}: -{level} dBov");
            }
        }
        let left = fs::read_dir(folder.path()).expect("a folder").filter_map(Result::ok);
        assert_eq!(left.filter(|entry| entry.file_name().to_string_lossy().ends_with(".part")).count(), 0);
    }

    /// The process dies, or the recording fails, in the middle.
    #[test]
    fn what_was_not_completed_is_found_and_can_be_heard() {
        for (format, extension) in [(RecordingFormat::Wav, "wav"), (RecordingFormat::Opus, "opus")] {
            let folder = tempfile::tempdir().expect("a folder");
            let mut file = RecordingFile::create(folder.path(), "7000", format, &Codecs).expect("created");
            (0..180).for_each(|number| file.write(&tone(number)).expect("written"));
            assert_eq!(file.safe(), 150, "{format:?}");
            std::mem::forget(file);
            let name = format!("7000.incomplete.{extension}");
            assert_eq!(recover(folder.path()), std::slice::from_ref(&name));
            assert!(recover(folder.path()).is_empty());
            let bytes = fs::read(folder.path().join(&name)).expect("there");
            let samples = read_sound(&bytes, &Codecs).expect("a sound").len();
            assert!(samples >= 149 * FRAME_SAMPLES, "{format:?}: {samples}");
            fs::remove_file(folder.path().join(&name)).expect("there");

            let mut file = RecordingFile::create(folder.path(), "7000", format, &Codecs).expect("created");
            (0..180).for_each(|number| file.write(&tone(number)).expect("written"));
            let (failed, _) = file.finish(false);
            assert!(failed == name && folder.path().join(name).exists());
        }
    }

    /// The header has the length of what is there, also where nothing more can be written in the usual way.
    #[test]
    fn a_wave_file_that_cannot_be_completed_can_be_heard() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = RecordingFile::create(folder.path(), "7000", RecordingFormat::Wav, &Codecs).expect("created");
        (0..180).for_each(|number| file.write(&tone(number)).expect("written"));
        let read_only = File::open(&file.partial).expect("there");
        file.sound = Sound::Wav { out: BufWriter::new(read_only), bytes: 0 };
        let (name, completed) = file.finish(true);
        assert!(completed.is_err() && name == "7000.incomplete.wav", "{name}");
        let bytes = fs::read(folder.path().join(name)).expect("there");
        assert_eq!(read_sound(&bytes, &Codecs).expect("a sound").len(), 180 * FRAME_SAMPLES);
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let long = "x".repeat(300);
        for name in ["", "../x", "a/b", ".hidden", "a\0b", "a\nb", &long] {
            assert!(RecordingFile::create(folder.path(), name, RecordingFormat::Wav, &Codecs).is_err(), "{name:?}");
        }
    }

    /// A disk that is full after so many bytes.
    struct Disk {
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let full = || io::Error::from(io::ErrorKind::StorageFull);
            self.room = self.room.checked_sub(bytes.len()).ok_or_else(full)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Disk {
        fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
            Ok(0)
        }
    }

    #[test]
    fn a_full_disk_is_an_error_and_no_panic() {
        for (format, room) in [(RecordingFormat::Wav, 100_000), (RecordingFormat::Opus, 5_000)] {
            let mut sound = Sound::begin(Disk { room }, format, &Codecs).expect("room for a header");
            let failed = (0..200).find_map(|number| sound.write(&tone(number)).err());
            assert_eq!(failed.map(|error| error.kind()), Some(io::ErrorKind::StorageFull), "{format:?}");
        }
    }
}
