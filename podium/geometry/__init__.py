"""Where things are in pictures: masks, boxes and objects; where a network sees them."""
