"""One-class models of long vectors, such as the pixels of an image or the code of an encoder, one file each."""
