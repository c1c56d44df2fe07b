"""Files and streams of others about BGP, octets to values and back: MRT and BMP."""
