"""Operations on watches: add and change them, run their ticks, look after incidents."""
