//! Gives back memory that only booting needed.

use rustix::mm::{Advice, madvise};

/// Drops the pages of this program's code from the process. What is still used comes back from the
/// page cache at once; what only booting used (reading the record, finding credentials) does not.
/// Without effect where the kernel does not say what is mapped.
pub fn forget_boot_code() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else {
        return;
    };
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (Some(range), Some(access)) = (fields.next(), fields.next()) else {
            continue;
        };
        let is_own_code = access == "r-xp" && line.contains('/');
        let Some((start, end)) = range.split_once('-').filter(|_| is_own_code) else {
            continue;
        };
        let number = |text| usize::from_str_radix(text, 16).ok();
        if let (Some(start), Some(end)) = (number(start), number(end)) {
            // SAFETY: code that is mapped from a file and cannot be written has nothing to lose:
            // its pages are read from the file again when they are needed.
            let dropped = unsafe {
                madvise(
                    start as *mut _,
                    end.saturating_sub(start),
                    Advice::LinuxDontNeed,
                )
            };
            // That it stays in memory is no problem either.
            let _ = dropped;
        }
    }
}
