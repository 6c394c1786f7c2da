//! Entry points for fuzz targets. Each takes any bytes, and panics only where a promise is broken.
