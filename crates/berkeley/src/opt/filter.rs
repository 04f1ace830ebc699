//! Programs that choose among what arrives: classic BPF, socket(7), and the methods of
//! [`Socket`] that attach them.

use std::os::fd::BorrowedFd;

use super::codec::descriptor;
use super::num;
use crate::error::Result;
use crate::kinds::Level;
use crate::socket::Socket;
use crate::sys;

/// Instructions that a program may have (`BPF_MAXINSNS`).
pub const INSTRUCTIONS_MAX: usize = 4096;

/// One instruction of classic BPF (`struct sock_filter`), bpf(2), tcpdump(1) `-dd`.
///
/// ```
/// use berkeley::opt::filter::Instruction;
///
/// // Take the whole message, whatever it is.
/// let program = [Instruction::ret(u32::MAX)];
/// assert_eq!(program[0].code, 6);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// What is done: class, size and mode, or source, joined with `|`.
    pub code: u16,
    /// Instructions to skip if a comparison is true.
    pub jump_true: u8,
    /// Instructions to skip if it is not.
    pub jump_false: u8,
    /// The operand.
    pub operand: u32,
}

const _: () = {
    assert!(size_of::<Instruction>() == size_of::<libc::sock_filter>());
    assert!(align_of::<Instruction>() == align_of::<libc::sock_filter>());
    assert!(core::mem::offset_of!(Instruction, operand) == 4);
};

impl Instruction {
    /// Loads a word (32 bits, network byte order) at an offset.
    #[must_use]
    pub const fn load_word(offset: u32) -> Self {
        Self::statement(0x20, offset)
    }

    /// Loads a half word (16 bits, network byte order) at an offset.
    #[must_use]
    pub const fn load_half(offset: u32) -> Self {
        Self::statement(0x28, offset)
    }

    /// Loads a byte at an offset.
    #[must_use]
    pub const fn load_byte(offset: u32) -> Self {
        Self::statement(0x30, offset)
    }

    /// Compares what was loaded with a number and skips instructions by the result.
    #[must_use]
    pub const fn jump_equal(number: u32, jump_true: u8, jump_false: u8) -> Self {
        Self {
            code: 0x15,
            jump_true,
            jump_false,
            operand: number,
        }
    }

    /// Takes so many bytes of the message; 0 drops it, [`u32::MAX`] takes all of it. In a program
    /// that chooses a socket, the number of the socket.
    #[must_use]
    pub const fn ret(bytes: u32) -> Self {
        Self::statement(0x06, bytes)
    }

    const fn statement(code: u16, operand: u32) -> Self {
        Self {
            code,
            jump_true: 0,
            jump_false: 0,
            operand,
        }
    }
}

impl Socket {
    /// Lets a program of classic BPF choose which messages come, instead of the one before. What
    /// it reads begins with the transport's header (for UDP: offset 8 is the first byte of data).
    ///
    /// # Errors
    /// `EINVAL` for a program that is empty, too long or does not end in all its ways; `EPERM`
    /// after [`super::LockFilter`].
    ///
    /// # References
    /// socket(7) `SO_ATTACH_FILTER`.
    #[doc(alias = "SO_ATTACH_FILTER")]
    pub fn attach_filter(&self, program: &[Instruction]) -> Result<()> {
        self.attach(num::SO_ATTACH_FILTER, "SO_ATTACH_FILTER", program)
    }

    /// The program that [`Socket::attach_filter`] attached; empty if there is none.
    ///
    /// # Errors
    /// `EACCES` for a program that was attached in another form.
    ///
    /// # References
    /// socket(7) `SO_GET_FILTER`.
    #[doc(alias = "SO_GET_FILTER")]
    pub fn filter(&self) -> Result<Vec<Instruction>> {
        sys::option::get_filter(std::os::fd::AsFd::as_fd(self))
            .map_err(|errno| self.failure("SO_GET_FILTER", errno))
    }

    /// Lets a program of classic BPF choose the socket of a reuse group that a message or a
    /// connection goes to: what it returns is the socket's place in the group.
    ///
    /// # Errors
    /// As [`Socket::attach_filter`]; `EINVAL` without [`super::ReusePort`].
    ///
    /// # References
    /// socket(7) `SO_ATTACH_REUSEPORT_CBPF`.
    #[doc(alias = "SO_ATTACH_REUSEPORT_CBPF")]
    pub fn attach_reuse_port_filter(&self, program: &[Instruction]) -> Result<()> {
        self.attach(
            num::SO_ATTACH_REUSEPORT_CBPF,
            "SO_ATTACH_REUSEPORT_CBPF",
            program,
        )
    }

    /// Lets a program of classic BPF choose the socket of a packet fan-out
    /// ([`super::packet::FanoutGroup::CBPF`]).
    ///
    /// # Errors
    /// As [`Socket::attach_filter`]; `EINVAL` without such a group.
    ///
    /// # References
    /// packet(7) `PACKET_FANOUT_DATA`.
    #[doc(alias = "PACKET_FANOUT_DATA")]
    pub fn attach_fanout_filter(&self, program: &[Instruction]) -> Result<()> {
        sys::option::set_program(
            std::os::fd::AsFd::as_fd(self),
            num::SOL_PACKET,
            num::PACKET_FANOUT_DATA,
            program,
        )
        .map_err(|errno| self.failure("PACKET_FANOUT_DATA", errno))
    }

    fn attach(&self, name: i32, label: &'static str, program: &[Instruction]) -> Result<()> {
        sys::option::set_program(
            std::os::fd::AsFd::as_fd(self),
            num::SOL_SOCKET,
            name,
            program,
        )
        .map_err(|errno| self.failure(label, errno))
    }

    /// As [`Socket::attach_filter`], with a program that bpf(2) has loaded.
    ///
    /// # Errors
    /// `EINVAL` if the descriptor is no program of the right type; `EPERM` after
    /// [`super::LockFilter`].
    ///
    /// # References
    /// socket(7) `SO_ATTACH_BPF`.
    #[doc(alias = "SO_ATTACH_BPF")]
    pub fn attach_bpf(&self, program: BorrowedFd<'_>) -> Result<()> {
        let value = descriptor(program);
        self.set_labelled(Level::SOCKET, num::SO_ATTACH_BPF, "SO_ATTACH_BPF", &value)
    }

    /// As [`Socket::attach_reuse_port_filter`], with a program that bpf(2) has loaded.
    ///
    /// # Errors
    /// As [`Socket::attach_bpf`].
    ///
    /// # References
    /// socket(7) `SO_ATTACH_REUSEPORT_EBPF`.
    #[doc(alias = "SO_ATTACH_REUSEPORT_EBPF")]
    pub fn attach_reuse_port_bpf(&self, program: BorrowedFd<'_>) -> Result<()> {
        let value = descriptor(program);
        self.set_labelled(
            Level::SOCKET,
            num::SO_ATTACH_REUSEPORT_EBPF,
            "SO_ATTACH_REUSEPORT_EBPF",
            &value,
        )
    }
}
