//! One WebSocket, as long as it lives: frames, pings, and that it has died.

use std::io::{self, Read, Write};
use std::time::Duration;

use reqwest::Upgraded;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message, WebSocket};

/// The largest message, in bytes: Slack sends the whole message with each press.
const LIMIT: usize = 256 * 1024;
/// Bytes that are read at once.
const PIECE: usize = 8 * 1024;
/// Between two pings of ours.
const PING: Duration = Duration::from_secs(10);
/// A connection over which nothing has come for so long is dead, pongs included.
const SILENCE: Duration = Duration::from_secs(30);
/// How long it may take to get rid of what is said.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection of Socket Mode.
pub struct Socket<S = Upgraded> {
    wire: S,
    protocol: WebSocket<Pipe>,
    heard: Instant,
    pinged: Instant,
}

/// The bytes between the wire and the protocol, which knows no waiting.
#[derive(Default)]
struct Pipe {
    incoming: io::Cursor<Vec<u8>>,
    outgoing: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match Read::read(&mut self.incoming, buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// The client's end of a connection whose handshake is done.
    pub(super) fn new(wire: S) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(PIECE)
            .max_message_size(Some(LIMIT))
            .max_frame_size(Some(LIMIT));
        let protocol = WebSocket::from_raw_socket(Pipe::default(), Role::Client, Some(config));
        let now = tokio::time::Instant::now();
        Self { wire, protocol, heard: now, pinged: now }
    }

    /// What is said next. Pings, and answers pings, while it waits. Nothing is lost when it
    /// is dropped before.
    ///
    /// # Errors
    /// The connection is over, or dead.
    pub async fn next(&mut self) -> Result<String, String> {
        loop {
            match self.protocol.read() {
                Ok(Message::Text(text)) => return Ok(text.as_str().to_owned()),
                Ok(Message::Close(_)) => {
                    // The answer to it is a courtesy.
                    let _ = self.put_out().await;
                    return Err("Slack has closed it".to_owned());
                }
                Ok(
                    Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_),
                ) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.put_out().await?;
                    self.take_in().await?;
                }
                Err(error) => return Err(in_words(&error)),
            }
        }
    }

    /// Says something.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn say(&mut self, text: &str) -> Result<(), String> {
        self.protocol.write(Message::text(text)).map_err(|error| in_words(&error))?;
        self.put_out().await
    }

    /// Says goodbye, if it can.
    pub async fn close(mut self) {
        if self.protocol.close(None).is_ok() {
            let _ = self.put_out().await;
        }
    }

    /// Sends what waits to be sent; what has gone out does not go again after a drop.
    async fn put_out(&mut self) -> Result<(), String> {
        match self.protocol.flush() {
            Ok(()) | Err(Error::ConnectionClosed) => {}
            Err(error) => return Err(in_words(&error)),
        }
        let outgoing = &mut self.protocol.get_mut().outgoing;
        let sending = async {
            while !outgoing.is_empty() {
                let sent = self.wire.write(outgoing).await?;
                if sent == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                outgoing.drain(..sent);
            }
            self.wire.flush().await
        };
        let in_time = tokio::time::timeout(PATIENCE, sending).await;
        in_time.map_err(|_| "nothing can be sent".to_owned())?.map_err(|error| cut(&error))
    }

    /// Waits for more bytes, or until it is time for a ping.
    async fn take_in(&mut self) -> Result<(), String> {
        let mut piece = vec![0; PIECE];
        tokio::select! {
            // Of a connection that is both silent and to be pinged, no more is asked.
            biased;
            count = self.wire.read(&mut piece) => match count {
                Ok(0) => Err("it was cut".to_owned()),
                Ok(count) => {
                    self.heard = tokio::time::Instant::now();
                    piece.truncate(count);
                    // The protocol had taken all that was there.
                    self.protocol.get_mut().incoming = io::Cursor::new(piece);
                    Ok(())
                }
                Err(error) => Err(cut(&error)),
            },
            () = tokio::time::sleep_until(self.heard + SILENCE) => {
                Err(format!("nothing has come for {} s", SILENCE.as_secs()))
            }
            () = tokio::time::sleep_until(self.pinged + PING) => {
                self.pinged = tokio::time::Instant::now();
                let ping = Message::Ping(Bytes::new());
                self.protocol.write(ping).map_err(|error| in_words(&error))
            }
        }
    }
}

fn cut(error: &io::Error) -> String {
    format!("it was cut: {}", error.kind())
}

/// Of an error what it was, and nothing that was said.
fn in_words(error: &Error) -> String {
    match error {
        Error::Capacity(_) => format!("a message is larger than {} KiB", LIMIT / 1024),
        Error::ConnectionClosed | Error::AlreadyClosed => "it is closed".to_owned(),
        Error::Io(error) => cut(error),
        Error::Protocol(why) => format!("what came is no WebSocket's: {why}"),
        _ => "what came is no WebSocket's".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;

    use super::*;

    /// Our end and Slack's.
    fn pair() -> (Socket<DuplexStream>, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        (Socket::new(ours), theirs)
    }

    /// A frame of a server's, which are short here and not masked.
    fn frame(kind: u8, body: &str) -> Vec<u8> {
        let mut frame = vec![0x80 | kind, u8::try_from(body.len()).unwrap()];
        frame.extend(body.bytes());
        frame
    }

    #[tokio::test(start_paused = true)]
    async fn messages_come_in_pieces_and_pings_are_answered() {
        let (mut socket, mut slack) = pair();
        let mut bytes = frame(0x9, "are you there");
        bytes.extend(frame(0x1, "one"));
        bytes.extend(frame(0x1, "two"));
        let telling = tokio::spawn(async move {
            for byte in bytes {
                slack.write_all(&[byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
            let mut answer = [0; 2];
            slack.read_exact(&mut answer).await.unwrap();
            (answer, slack)
        });
        assert_eq!(socket.next().await, Ok("one".to_owned()));
        assert_eq!(socket.next().await, Ok("two".to_owned()));
        let (answer, _slack) = telling.await.unwrap();
        assert_eq!(answer, [0x8a, 0x8d], "a pong of 13 bytes, masked");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_silent_is_pinged_and_then_given_up() {
        let (mut socket, mut slack) = pair();
        let begun = Instant::now();
        let why = socket.next().await.unwrap_err();
        assert_eq!((why.as_str(), begun.elapsed()), ("nothing has come for 30 s", SILENCE));
        drop(socket);
        let mut heard = Vec::new();
        slack.read_to_end(&mut heard).await.unwrap();
        assert_eq!((heard[0], heard.len()), (0x89, 2 * 6), "two pings of nothing, masked");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pong_is_a_sign_of_life() {
        let (mut socket, mut slack) = pair();
        let answering = async {
            for _ in 0..12 {
                let mut ping = [0; 6];
                slack.read_exact(&mut ping).await.unwrap();
                slack.write_all(&frame(0xa, "")).await.unwrap();
            }
            slack.write_all(&frame(0x1, "still here")).await.unwrap();
        };
        let begun = Instant::now();
        let both = async { tokio::join!(socket.next(), answering) };
        let (said, ()) = tokio::time::timeout(PING * 20, both).await.unwrap();
        assert_eq!((said, begun.elapsed()), (Ok("still here".to_owned()), PING * 12));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_large_or_no_websockets_ends_it_at_once() {
        // Of a gibibyte, said in its head; one byte more than the bound in two frames.
        let huge = [&[0x81, 127][..], &(1_u64 << 30).to_be_bytes()].concat();
        let half = u64::try_from(LIMIT / 2 + 1).unwrap().to_be_bytes();
        let part = |head: u8| [&[head, 127][..], &half, &vec![b'x'; LIMIT / 2 + 1]].concat();
        let halves = [part(0x01), part(0x80)].concat();
        for (bytes, why) in [
            (huge, "a message is larger than 256 KiB"),
            (halves, "a message is larger than 256 KiB"),
            (frame(0x3, "a kind that is none"), "what came is no WebSocket's"),
            (frame(0x8, ""), "Slack has closed it"),
            (Vec::new(), "it was cut"),
        ] {
            let (mut socket, mut slack) = pair();
            let telling = tokio::spawn(async move {
                // Whoever has seen enough reads no further.
                let _ = slack.write_all(&bytes).await;
            });
            let told = socket.next().await.unwrap_err();
            assert!(told.contains(why), "{told}");
            drop(socket);
            telling.await.unwrap();
        }
    }
}
