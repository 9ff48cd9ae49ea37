/** FNV-1a over UTF-16 units, 32 bits; another `basis` makes another function. Stable: what it says is remembered nowhere. */
export function hashOf(text: string, basis: number): number {
  let hash = basis;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    hash = Math.imul(hash ^ (unit & 0xff), 0x0100_0193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x0100_0193);
  }
  return hash;
}

/** Spreads 32 bits: each bit of the result depends on all of them (the last steps of MurmurHash3). */
export function mixed(bits: number): number {
  let mix = bits;
  mix = Math.imul(mix ^ (mix >>> 16), 0x85eb_ca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2_ae35);
  return mix ^ (mix >>> 16);
}
