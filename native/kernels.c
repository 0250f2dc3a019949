/*
 * The ring's kernels for CPUs with wide integer vectors: the same functions as src/ring/assembly/, bit for bit, on the same
 * memory. The WebAssembly ones are their oracle (test/ring/native.test.ts) and what runs where this is not built.
 *
 * Pointers are byte offsets into the WebAssembly memory, as there; `attach` says where that memory lies. Callers check
 * lengths (src/ring/ring.ts). No kernel branches on, or addresses by, a secret.
 */
#include <node_api.h>
#include <stdint.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

typedef uint64_t u64;
typedef int64_t i64;
typedef uint8_t u8;
typedef u64 Lanes __attribute__((vector_size(64)));
typedef u64 LanesAt __attribute__((vector_size(64), aligned(8)));

#define INLINE static inline __attribute__((always_inline))

static u64 mask_of(int bits) { return bits >= 64 ? ~0ull : (1ull << bits) - 1; }

#ifdef __AVX512DQ__
INLINE Lanes load8(const u64 *p) { return *(const LanesAt *)p; }
INLINE void store8(u64 *p, Lanes x) { *(LanesAt *)p = x; }
#endif

/* ---- elementwise ---- */

static void add(u64 *out, const u64 *a, const u64 *b, int n) {
  for (int i = 0; i < n; i++) out[i] = a[i] + b[i];
}
static void subtract(u64 *out, const u64 *a, const u64 *b, int n) {
  for (int i = 0; i < n; i++) out[i] = a[i] - b[i];
}
static void negate(u64 *out, const u64 *a, int n) {
  for (int i = 0; i < n; i++) out[i] = -a[i];
}
static void multiply(u64 *out, const u64 *a, const u64 *b, int n) {
  for (int i = 0; i < n; i++) out[i] = a[i] * b[i];
}
static void add_scaled(u64 *out, const u64 *a, u64 c, int n) {
  for (int i = 0; i < n; i++) out[i] += a[i] * c;
}
static void scale_columns(u64 *out, const u64 *a, const u64 *row, int rows, int columns) {
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < columns; j++) out[(size_t)i * columns + j] += a[(size_t)i * columns + j] * row[j];
}
static void row_sum(u64 *out, const u64 *a, int rows, int columns) {
  for (int i = 0; i < rows; i++) {
    u64 sum = 0;
    for (int j = 0; j < columns; j++) sum += a[(size_t)i * columns + j];
    out[i] = sum;
  }
}
static void centre(u64 *out, const u64 *a, int rows, int columns) {
  for (int i = 0; i < rows; i++) {
    const u64 *from = a + (size_t)i * columns;
    u64 *to = out + (size_t)i * columns, sum = 0;
    for (int j = 0; j < columns; j++) sum += from[j];
    for (int j = 0; j < columns; j++) to[j] = from[j] * (u64)columns - sum;
  }
}
static void reduce(u64 *out, const u64 *a, int bits, int n) {
  u64 m = mask_of(bits);
  for (int i = 0; i < n; i++) out[i] = a[i] & m;
}
static void truncate(u64 *out, const u64 *a, int from, int shift, int to, int n) {
  u64 wide = mask_of(from), narrow = shift >= 64 ? 0 : mask_of(to);
  shift &= 63;
  for (int i = 0; i < n; i++) out[i] = ((a[i] & wide) >> shift) & narrow;
}
static void msb(u64 *out, const u64 *a, int bits, int n) {
  for (int i = 0; i < n; i++) out[i] = (a[i] >> (bits - 1)) & 1;
}
static void xor_words(u64 *out, const u64 *a, const u64 *b, int n) {
  for (int i = 0; i < n; i++) out[i] = a[i] ^ b[i];
}

/* ---- bit streams: eight elements are `bits` bytes ---- */

static void pack_bits(u8 *out, const u64 *a, int bits, int n) {
  if (bits == 64) {
    memcpy(out, a, (size_t)n * 8);
    return;
  }
  u64 m = mask_of(bits), word = 0;
  int fill = 0;
  for (int i = 0; i < n; i++) {
    u64 x = a[i] & m;
    word |= x << fill;
    fill += bits;
    if (fill >= 64) {
      memcpy(out, &word, 8);
      out += 8;
      fill -= 64;
      word = fill > 0 ? x >> (bits - fill) : 0;
    }
  }
  if (fill > 0) memcpy(out, &word, 8);
}

INLINE u64 element(const u8 *source, u64 at, u64 m, int spills) {
  u64 x;
  memcpy(&x, source + (at >> 3), 8);
  x >>= at & 7;
  if (spills && (at & 7)) x |= (u64)source[(at >> 3) + 8] << (64 - (at & 7));
  return x & m;
}
static void unpack_bits(u64 *out, const u8 *source, int bits, int n) {
  if (bits == 64) {
    memcpy(out, source, (size_t)n * 8);
    return;
  }
  u64 m = mask_of(bits);
  if (bits <= 57)
    for (int i = 0; i < n; i++) out[i] = element(source, (u64)i * bits, m, 0);
  else
    for (int i = 0; i < n; i++) out[i] = element(source, (u64)i * bits, m, 1);
}

/* ---- products: panels of columns in the first-level cache, several rows at a time ---- */

#define KC 256
/* Bytes of one panel. */
#define PANEL (KC * 16 * 8)

#ifdef __AVX512DQ__

#define MR 8
#define NR 16
/* Results of so many bits are products of 52-bit halves, where the processor has them. */
#ifdef __AVX512IFMA__
#define LOW 52
#else
#define LOW 0
#endif

INLINE void put(u64 *out, Lanes x, Lanes y, int width) {
  if (width >= NR) {
    store8(out, load8(out) + x);
    store8(out + 8, load8(out + 8) + y);
    return;
  }
  for (int j = 0; j < width; j++) out[j] += j < 8 ? x[j] : y[j - 8];
}

/* c + x·b; with `low` mod 2^52, in one instruction, which reads the low 52 bits of x and b alone. */
INLINE Lanes add_product8(Lanes c, u64 x, Lanes b, int low) {
#ifdef __AVX512IFMA__
  if (low) return (Lanes)_mm512_madd52lo_epu64((__m512i)c, _mm512_set1_epi64((i64)x), (__m512i)b);
#endif
  (void)low;
  return c + x * b;
}

/* out[rows][..16] += a[rows][kc]·panel; with `low` mod 2^52: KC products of 52 bits do not overflow a lane. */
INLINE void block(int rows, int low, u64 *out, int ldo, const u64 *a, int lda, const u64 *panel, int kc, int width) {
  Lanes c0[MR], c1[MR];
  for (int r = 0; r < rows; r++) c0[r] = c1[r] = (Lanes){0};
  for (int k = 0; k < kc; k++) {
    Lanes b0 = load8(panel + (size_t)k * NR), b1 = load8(panel + (size_t)k * NR + 8);
    for (int r = 0; r < rows; r++) {
      u64 x = a[(size_t)r * lda + k];
      c0[r] = add_product8(c0[r], x, b0, low);
      c1[r] = add_product8(c1[r], x, b1, low);
    }
  }
  for (int r = 0; r < rows; r++) put(out + (size_t)r * ldo, c0[r], c1[r], width);
}
INLINE void all_rows(int low, u64 *out, const u64 *a, const u64 *panel, int m, int lda, int kc, int ldo, int width) {
  int i = 0;
  for (; i + MR <= m; i += MR) block(MR, low, out + (size_t)i * ldo, ldo, a + (size_t)i * lda, lda, panel, kc, width);
  for (; i < m; i++) block(1, low, out + (size_t)i * ldo, ldo, a + (size_t)i * lda, lda, panel, kc, width);
}
static void panel_rows(u64 *out, const u64 *a, const u64 *panel, int m, int lda, int kc, int ldo, int width, int bits) {
  if (bits <= LOW) all_rows(1, out, a, panel, m, lda, kc, ldo, width);
  else all_rows(0, out, a, panel, m, lda, kc, ldo, width);
}

/* kc rows of b, 16 columns side by side; missing columns zero. */
static void pack_panel(u64 *to, const u64 *b, int kc, int n, int width) {
  for (int k = 0; k < kc; k++, to += NR, b += n) {
    if (width < NR) memset(to, 0, NR * 8);
    memcpy(to, b, (size_t)(width < NR ? width : NR) * 8);
  }
}
/* 8 packed columns (narrow.ts: pairs of 16-bit weights) into half a panel. */
static void widen_panel(u64 *to, const int32_t *from, int kc) {
  for (int k = 0; k < kc; k += 2, from += 8, to += 2 * NR) {
    for (int c = 0; c < 8; c++) to[c] = (u64)(i64)(int16_t)from[c];
    if (k + 1 < kc)
      for (int c = 0; c < 8; c++) to[NR + c] = (u64)(i64)(from[c] >> 16);
  }
}
#define NARROW_ROWS panel_rows
static void narrow_panel(u64 *to, const int32_t *packed, size_t stride, int k0, int kc, int width) {
  widen_panel(to, packed + (size_t)k0 / 2 * 8, kc);
  if (width > 8) widen_panel(to + 8, packed + stride + (size_t)k0 / 2 * 8, kc);
}

#else

/*
 * AVX2 has no product of 64-bit lanes: x·b = lo(x)lo(b) + 2^32 (lo(x)hi(b) + hi(x)lo(b)), by products of 32-bit halves in
 * two sums. Weights enter as w + 2^15, without sign; 2^15 times the row's sum is taken back.
 */

#define MR 2
#define NR 8
#define OFFSET 32768

INLINE void put(u64 *out, const __m256i *lo, const __m256i *hi, u64 back, int width) {
  u64 sums[NR];
  for (int h = 0; h < 2; h++) {
    __m256i sum = _mm256_add_epi64(lo[h], _mm256_slli_epi64(hi[h], 32));
    _mm256_storeu_si256((__m256i *)(sums + 4 * h), sum);
  }
  for (int j = 0; j < (width < NR ? width : NR); j++) out[j] += sums[j] - back;
}
INLINE __m256i half_of(const u64 *x, int high) { return _mm256_set1_epi32(((const int32_t *)x)[high]); }

INLINE void block(int rows, int narrow, u64 *out, int ldo, const u64 *a, int lda, const u64 *panel, int kc, int width) {
  __m256i lo[MR][2], hi[MR][2];
  u64 back[MR] = {0};
  for (int r = 0; r < rows; r++)
    for (int h = 0; h < 2; h++) lo[r][h] = hi[r][h] = _mm256_setzero_si256();
  for (int k = 0; k < kc; k++, panel += narrow ? NR : 2 * NR) {
    for (int r = 0; r < rows; r++) {
      const u64 *x = a + (size_t)r * lda + k;
      __m256i x0 = half_of(x, 0), x1 = half_of(x, 1);
      for (int h = 0; h < 2; h++) {
        __m256i b0 = _mm256_loadu_si256((const __m256i *)(panel + 4 * h));
        lo[r][h] = _mm256_add_epi64(lo[r][h], _mm256_mul_epu32(x0, b0));
        hi[r][h] = _mm256_add_epi64(hi[r][h], _mm256_mul_epu32(x1, b0));
        if (narrow) continue;
        __m256i b1 = _mm256_loadu_si256((const __m256i *)(panel + NR + 4 * h));
        hi[r][h] = _mm256_add_epi64(hi[r][h], _mm256_mul_epu32(x0, b1));
      }
      if (narrow) back[r] += *x;
    }
  }
  for (int r = 0; r < rows; r++) put(out + (size_t)r * ldo, lo[r], hi[r], back[r] * OFFSET, width);
}
static void panel_rows(u64 *out, const u64 *a, const u64 *panel, int m, int lda, int kc, int ldo, int width, int bits) {
  (void)bits;
  int i = 0;
  for (; i + MR <= m; i += MR) block(MR, 0, out + (size_t)i * ldo, ldo, a + (size_t)i * lda, lda, panel, kc, width);
  for (; i < m; i++) block(1, 0, out + (size_t)i * ldo, ldo, a + (size_t)i * lda, lda, panel, kc, width);
}
static void narrow_rows(u64 *out, const u64 *a, const u64 *panel, int m, int lda, int kc, int ldo, int width, int bits) {
  (void)bits;
  int i = 0;
  for (; i + MR <= m; i += MR) block(MR, 1, out + (size_t)i * ldo, ldo, a + (size_t)i * lda, lda, panel, kc, width);
  for (; i < m; i++) block(1, 1, out + (size_t)i * ldo, ldo, a + (size_t)i * lda, lda, panel, kc, width);
}
#define NARROW_ROWS narrow_rows

/* Low halves (whole words: only their low halves are used), then high halves. */
static void pack_panel(u64 *to, const u64 *b, int kc, int n, int width) {
  for (int k = 0; k < kc; k++, to += 2 * NR, b += n) {
    for (int c = 0; c < NR; c++) {
      u64 x = c < width ? b[c] : 0;
      to[c] = x;
      to[NR + c] = x >> 32;
    }
  }
}
static void narrow_panel(u64 *to, const int32_t *packed, size_t stride, int k0, int kc, int width) {
  (void)stride, (void)width;
  const int32_t *from = packed + (size_t)k0 / 2 * 8;
  for (int k = 0; k < kc; k += 2, from += 8, to += 2 * NR) {
    for (int c = 0; c < NR; c++) to[c] = (u64)((int16_t)from[c] + OFFSET);
    if (k + 1 < kc)
      for (int c = 0; c < NR; c++) to[NR + c] = (u64)((from[c] >> 16) + OFFSET);
  }
}

#endif

/* Both products are right mod 2^bits. */
static void matmul(u64 *out, const u64 *a, const u64 *b, u64 *panel, int m, int k, int n, int accumulate, int bits) {
  if (!accumulate) memset(out, 0, (size_t)m * n * 8);
  for (int k0 = 0; k0 < k; k0 += KC) {
    int kc = k - k0 < KC ? k - k0 : KC;
    for (int j = 0; j < n; j += NR) {
      pack_panel(panel, b + (size_t)k0 * n + j, kc, n, n - j);
      panel_rows(out + j, a + k0, panel, m, k, kc, n, n - j, bits);
    }
  }
}

static void matmul_narrow(u64 *out, const u64 *a, const int32_t *packed, u64 *panel, int m, int k, int n, int accumulate,
                          int bits) {
  if (!accumulate) memset(out, 0, (size_t)m * n * 8);
  size_t stride = (size_t)((k + 1) / 2) * 8;
  for (int j = 0; j < n; j += NR) {
    for (int k0 = 0; k0 < k; k0 += KC) {
      int kc = k - k0 < KC ? k - k0 : KC;
      narrow_panel(panel, packed + (size_t)(j / 8) * stride, stride, k0, kc, n - j);
      NARROW_ROWS(out + j, a + k0, panel, m, k, kc, n, n - j, bits);
    }
  }
}

/* ---- wide words: two planes, low and high; a high plane of NULL is one of zeros ---- */

typedef unsigned __int128 u128;

INLINE u128 wide_of(u64 lo, u64 hi) { return (u128)hi << 64 | lo; }
INLINE u64 high_at(const u64 *hi, size_t i) { return hi ? hi[i] : 0; }
INLINE void wide_store(u64 *lo, u64 *hi, size_t i, u128 x) {
  lo[i] = (u64)x;
  if (hi) hi[i] = (u64)(x >> 64);
}

static void wide_add(u64 *lo, u64 *hi, const u64 *x_lo, const u64 *x_hi, int n, int minus) {
  for (int i = 0; i < n; i++) {
    u128 a = wide_of(lo[i], hi[i]), x = wide_of(x_lo[i], high_at(x_hi, i));
    wide_store(lo, hi, i, minus ? a - x : a + x);
  }
}
static void wide_multiply_add(u64 *lo, u64 *hi, const u64 *c, const u64 *x_lo, const u64 *x_hi, int n) {
  for (int i = 0; i < n; i++)
    wide_store(lo, hi, i, wide_of(lo[i], hi[i]) + c[i] * wide_of(x_lo[i], high_at(x_hi, i)));
}
static void wide_subtract_scaled(u64 *lo, u64 *hi, const u64 *x, const u64 *factor, int n) {
  u128 f = wide_of(factor[0], factor[1]);
  for (int i = 0; i < n; i++) wide_store(lo, hi, i, wide_of(lo[i], high_at(hi, i)) - x[i] * f);
}
static void wide_row_sum(u64 *lo, u64 *hi, const u64 *x_lo, const u64 *x_hi, int rows, int columns) {
  for (int i = 0; i < rows; i++) {
    u128 sum = 0;
    for (int j = 0; j < columns; j++) {
      size_t at = (size_t)i * columns + j;
      sum += wide_of(x_lo[at], high_at(x_hi, at));
    }
    wide_store(lo, hi, i, sum);
  }
}

/* Columns of a product at once: as many chains of carries side by side. */
#define WIDE_COLUMNS 4

typedef struct {
  const u64 *lo, *hi;
  size_t inner, column;
} WideOperand;

/* sums[c] = sum over l of p[l·inner] · x[l, first + c] */
INLINE void wide_dots(u128 *sums, const u64 *p, size_t inner, WideOperand x, size_t first, int k, int columns, int planes) {
  for (int c = 0; c < columns; c++) sums[c] = 0;
  for (int l = 0; l < k; l++) {
    u64 factor = p[l * inner];
    for (int c = 0; c < columns; c++) {
      size_t at = l * x.inner + (first + c) * x.column;
      sums[c] += (u128)factor * x.lo[at];
      if (planes) sums[c] += (u128)(factor * x.hi[at]) << 64;
    }
  }
}
static void wide_matmul(u64 *lo, u64 *hi, size_t out_row, size_t out_column, const u64 *p, size_t p_row, size_t p_inner,
                        WideOperand x, int m, int k, int n) {
  for (int i = 0; i < m; i++)
    for (int j = 0; j < n; j += WIDE_COLUMNS) {
      u128 sums[WIDE_COLUMNS];
      int columns = n - j < WIDE_COLUMNS ? n - j : WIDE_COLUMNS;
      const u64 *row = p + i * p_row;
      if (columns == WIDE_COLUMNS && x.hi) wide_dots(sums, row, p_inner, x, j, k, WIDE_COLUMNS, 1);
      else if (columns == WIDE_COLUMNS) wide_dots(sums, row, p_inner, x, j, k, WIDE_COLUMNS, 0);
      else wide_dots(sums, row, p_inner, x, j, k, columns, x.hi != NULL);
      for (int c = 0; c < columns; c++) {
        size_t to = i * out_row + (j + c) * out_column;
        wide_store(lo, hi, to, wide_of(lo[to], high_at(hi, to)) + sums[c]);
      }
    }
}

/* Four tables of 256 sums, one for each byte of an element's 32 bits of choice. */
static void wide_tally(u64 *tables, const u64 *lo, const u64 *hi, const uint32_t *chi, int shift, int n) {
  for (int i = 0; i < n; i++) {
    u128 x = shift >= 128 ? 0 : wide_of(lo[i], high_at(hi, i)) << shift;
    for (int g = 0; g < 4; g++) {
      u64 *entry = tables + 2 * (g * 256 + (chi[i] >> (8 * g) & 255));
      wide_store(entry, entry + 1, 0, wide_of(entry[0], entry[1]) + x);
    }
  }
}
static void xor_tally(u64 *tables, const u64 *x, const uint32_t *chi, int n) {
  for (int i = 0; i < n; i++)
    for (int g = 0; g < 4; g++) tables[2 * (g * 256 + (chi[i] >> (8 * g) & 255))] ^= x[i];
}

/* ---- polynomials of masked values: assembly/polynomial.ts ---- */

#define BLOCK 64
#define POWERS 4
/* Rows of scratch behind the vectors of four variables. */
#define COEFFICIENT (4 * 3 * POWERS)
#define REPEATED (COEFFICIENT + 1)
#define REPEATED_HIGH (COEFFICIENT + 2)

typedef struct {
  uint32_t x;
  int32_t repeat, ring, kind, degree;
} Variable;
typedef struct {
  uint32_t share;
  int32_t repeat, first, count;
} Term;
typedef struct {
  Term low;
  uint32_t high;
} WideTerm;
typedef struct {
  uint32_t lo, hi;
  int32_t count, vectors[4];
} Pair;

static const u64 *expand(u64 *out, const u64 *a, int repeat, int first, int n) {
  if (repeat == 1) return a + first;
  int index = first / repeat, left = repeat - (first - index * repeat);
  for (int i = 0; i < n;) {
    int run = left < n - i ? left : n - i;
    u64 x = a[index++];
    for (int j = 0; j < run; j++) out[i + j] = x;
    i += run;
    left = repeat;
  }
  return out;
}

static void public_parts(u64 (*rows)[BLOCK], const u64 *x, const Variable *v, int n) {
  u64 *a0 = rows[0], *a1 = rows[POWERS];
  if (v->kind == 0) memcpy(a0, x, (size_t)n * 8);
  else if (v->kind == 1) {
    int ring = v->ring;
    u64 offset = 1ull << (ring - 2), m = mask_of(ring);
    for (int i = 0; i < n; i++) {
      u64 u = (x[i] + offset) & m;
      a0[i] = u - offset;
      a1[i] = u - offset + (((u >> (ring - 1)) ^ 1) << ring);
    }
  } else {
    for (int i = 0; i < n; i++) {
      a0[i] = x[i] & 1;
      a1[i] = a0[i] ^ 1;
    }
  }
  for (int e = 1; e < v->degree; e++)
    for (int i = 0; i < n; i++) rows[e][i] = rows[e - 1][i] * a0[i];
  if (v->kind == 0) return;
  for (int e = 1; e < v->degree; e++)
    for (int i = 0; i < n; i++) rows[POWERS + e][i] = rows[POWERS + e - 1][i] * a1[i];
  for (int e = 0; e < v->degree; e++)
    for (int i = 0; i < n; i++) rows[2 * POWERS + e][i] = rows[POWERS + e][i] - rows[e][i];
}

static void add_product(u64 *out, u64 (*rows)[BLOCK], const Pair *p, int n) {
  u64 c = (u64)p->lo | (u64)p->hi << 32;
  const u64 *x = rows[p->vectors[0]], *y = rows[p->vectors[1]], *z = rows[p->vectors[2]], *w = rows[p->vectors[3]];
  switch (p->count) {
    case 0: for (int i = 0; i < n; i++) out[i] += c; break;
    case 1: for (int i = 0; i < n; i++) out[i] += c * x[i]; break;
    case 2: for (int i = 0; i < n; i++) out[i] += c * x[i] * y[i]; break;
    case 3: for (int i = 0; i < n; i++) out[i] += c * x[i] * y[i] * z[i]; break;
    default: for (int i = 0; i < n; i++) out[i] += c * x[i] * y[i] * z[i] * w[i];
  }
}

/* The vectors of all variables, for `count` elements from `first` on. */
static void public_vectors(u8 *base, u64 (*rows)[BLOCK], const Variable *variables, int variable_count, int first, int count) {
  for (int v = 0; v < variable_count; v++) {
    const u64 *x = expand(rows[REPEATED], (const u64 *)(base + variables[v].x), variables[v].repeat, first, count);
    public_parts(rows + v * 3 * POWERS, x, &variables[v], count);
  }
}

static void polynomial(u8 *base, u64 *out, int n, const Variable *variables, int variable_count, const Term *terms,
                       int term_count, const Pair *pairs, u64 (*rows)[BLOCK]) {
  u64 *coefficient = rows[COEFFICIENT];
  for (int first = 0; first < n; first += BLOCK) {
    int count = n - first < BLOCK ? n - first : BLOCK;
    public_vectors(base, rows, variables, variable_count, first, count);
    u64 *to = out + first;
    memset(to, 0, (size_t)count * 8);
    for (int t = 0; t < term_count; t++) {
      const Term *term = &terms[t];
      u64 *sum = term->share == 0 ? to : coefficient;
      if (sum != to) memset(sum, 0, (size_t)count * 8);
      for (int p = 0; p < term->count; p++) add_product(sum, rows, &pairs[term->first + p], count);
      if (sum == to) continue;
      const u64 *share = expand(rows[REPEATED], (const u64 *)(base + term->share), term->repeat, first, count);
      for (int i = 0; i < count; i++) to[i] += coefficient[i] * share[i];
    }
  }
}

static void wide_polynomial(u8 *base, u64 *out, u64 *out_hi, int n, const Variable *variables, int variable_count,
                            const WideTerm *terms, int term_count, const Pair *pairs, u64 (*rows)[BLOCK]) {
  u64 *coefficient = rows[COEFFICIENT];
  for (int first = 0; first < n; first += BLOCK) {
    int count = n - first < BLOCK ? n - first : BLOCK;
    public_vectors(base, rows, variables, variable_count, first, count);
    memset(out + first, 0, (size_t)count * 8);
    memset(out_hi + first, 0, (size_t)count * 8);
    for (int t = 0; t < term_count; t++) {
      const Term *term = &terms[t].low;
      memset(coefficient, 0, (size_t)count * 8);
      for (int p = 0; p < term->count; p++) add_product(coefficient, rows, &pairs[term->first + p], count);
      const u64 *share = expand(rows[REPEATED], (const u64 *)(base + term->share), term->repeat, first, count);
      const u64 *above = NULL;
      if (terms[t].high != 0)
        above = expand(rows[REPEATED_HIGH], (const u64 *)(base + terms[t].high), term->repeat, first, count);
      wide_multiply_add(out + first, out_hi + first, coefficient, share, above, count);
    }
  }
}

/* ---- Fourier: assembly/fourier.ts; without contraction, so that every rounding is the same ---- */

#include <math.h>

INLINE u64 bits_of(double x) {
  u64 y;
  memcpy(&y, &x, 8);
  return y;
}
INLINE double double_of(u64 x) {
  double y;
  memcpy(&y, &x, 8);
  return y;
}

/* cos and sin of 2π·x/2^bits; the choice by the quarter turn is one of bits */
INLINE void circle(u64 x, int bits, double *c, double *s) {
  u64 angle = x << (64 - bits), quarter = (angle + (1ull << 61)) >> 62;
  double t = (double)(i64)(angle - (quarter << 62)) * (6.283185307179586 / 18446744073709551616.0);
  double u = t * t;
  u64 sine = bits_of(t * (1 + u * (-1.0 / 6 + u * (1.0 / 120 + u * (-1.0 / 5040 + u * (1.0 / 362880 +
             u * (-1.0 / 39916800 + u * (1.0 / 6227020800.0))))))));
  u64 cosine = bits_of(1 + u * (-0.5 + u * (1.0 / 24 + u * (-1.0 / 720 + u * (1.0 / 40320 + u * (-1.0 / 3628800 +
               u * (1.0 / 479001600.0 + u * (-1.0 / 87178291200.0))))))));
  u64 swapped = (sine ^ cosine) & -(quarter & 1);
  *c = double_of(cosine ^ swapped ^ ((quarter + 1) & 2) << 62);
  *s = double_of(sine ^ swapped ^ (quarter & 2) << 62);
}

typedef struct {
  double c[BLOCK], s[BLOCK], cs[BLOCK], ss[BLOCK];
} Angles;

static void first_harmonic(Angles *t, const u64 *x, int n, int bits, int stride) {
  for (int i = 0; i < n; i++) circle(x[i], bits, &t->c[i], &t->s[i]);
  for (int i = 0; i < n; i++) {
    double c = t->c[i], s = t->s[i];
    t->cs[i] = stride == 2 ? c * c - s * s : c;
    t->ss[i] = stride == 2 ? 2 * s * c : s;
  }
}
static void next_harmonic(Angles *t, int n) {
  for (int i = 0; i < n; i++) {
    double c = t->c[i] * t->cs[i] - t->s[i] * t->ss[i];
    t->s[i] = t->s[i] * t->cs[i] + t->c[i] * t->ss[i];
    t->c[i] = c;
  }
}
static void fourier_secrets(i64 *out, const u64 *r, int n, int bits, int harmonics, int stride, int trig_bits) {
  double unit = (double)(1ull << trig_bits);
  Angles t;
  for (int first = 0; first < n; first += BLOCK) {
    int count = n - first < BLOCK ? n - first : BLOCK;
    first_harmonic(&t, r + first, count, bits, stride);
    for (int h = 0; h < harmonics; h++) {
      i64 *c = out + (size_t)(2 * h) * n + first, *s = c + n;
      for (int i = 0; i < count; i++) c[i] = (i64)rint(t.c[i] * unit);
      for (int i = 0; i < count; i++) s[i] = (i64)rint(t.s[i] * unit);
      next_harmonic(&t, count);
    }
  }
}
static void fourier(i64 *out, const u64 *x, int n, int bits, int harmonics, int stride, const double *coefficients,
                    const i64 *shares) {
  Angles t;
  for (int first = 0; first < n; first += BLOCK) {
    int count = n - first < BLOCK ? n - first : BLOCK;
    i64 *to = out + first;
    memset(to, 0, (size_t)count * 8);
    first_harmonic(&t, x + first, count, bits, stride);
    for (int h = 0; h < harmonics; h++) {
      double a = coefficients[h], b = coefficients[h + harmonics];
      const i64 *c = shares + (size_t)(2 * h) * n + first, *s = c + n;
      for (int i = 0; i < count; i++) to[i] += (i64)rint(a * t.c[i] + b * t.s[i]) * c[i];
      for (int i = 0; i < count; i++) to[i] += (i64)rint(a * t.s[i] - b * t.c[i]) * s[i];
      next_harmonic(&t, count);
    }
  }
}

/* ---- AES-128's keystream in counter mode: assembly/aes.ts; the processor's own rounds take the same time for every key ---- */

#define ROUNDS 10

INLINE __m128i next_key(__m128i k, __m128i assist) {
  for (int i = 0; i < 3; i++) k = _mm_xor_si128(k, _mm_slli_si128(k, 4));
  return _mm_xor_si128(k, _mm_shuffle_epi32(assist, 0xff));
}
static void expand_key(__m128i *k, const u8 *key) {
  k[0] = _mm_loadu_si128((const __m128i *)key);
#define NEXT(i, constant) k[i + 1] = next_key(k[i], _mm_aeskeygenassist_si128(k[i], constant))
  NEXT(0, 1), NEXT(1, 2), NEXT(2, 4), NEXT(3, 8), NEXT(4, 16), NEXT(5, 32), NEXT(6, 64), NEXT(7, 128), NEXT(8, 27), NEXT(9, 54);
#undef NEXT
}

#ifdef __VAES__

/* 16 blocks: four to a vector. */
#define PIECE 256
INLINE void keystream_piece(u8 *out, const __m128i *k, u64 head, u64 block) {
  const __m512i reverse = _mm512_broadcast_i32x4(_mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, -1, -1, -1, -1, -1, -1, -1, -1));
  const __m512i top = _mm512_broadcast_i32x4(_mm_set_epi64x(0, (i64)head));
  __m512i x[4];
  for (int v = 0; v < 4; v++) {
    u64 b = block + 4 * v;
    __m512i numbers = _mm512_set_epi64((i64)(b + 3), 0, (i64)(b + 2), 0, (i64)(b + 1), 0, (i64)b, 0);
    __m512i counter = _mm512_or_si512(_mm512_shuffle_epi8(numbers, reverse), top);
    x[v] = _mm512_xor_si512(counter, _mm512_broadcast_i32x4(k[0]));
  }
  for (int r = 1; r < ROUNDS; r++)
    for (int v = 0; v < 4; v++) x[v] = _mm512_aesenc_epi128(x[v], _mm512_broadcast_i32x4(k[r]));
  for (int v = 0; v < 4; v++)
    _mm512_storeu_si512(out + 64 * v, _mm512_aesenclast_epi128(x[v], _mm512_broadcast_i32x4(k[ROUNDS])));
}

#else

/* 8 blocks. */
#define PIECE 128
INLINE void keystream_piece(u8 *out, const __m128i *k, u64 head, u64 block) {
  __m128i x[8];
  for (int v = 0; v < 8; v++)
    x[v] = _mm_xor_si128(_mm_set_epi64x((i64)__builtin_bswap64(block + v), (i64)head), k[0]);
  for (int r = 1; r < ROUNDS; r++)
    for (int v = 0; v < 8; v++) x[v] = _mm_aesenc_si128(x[v], k[r]);
  for (int v = 0; v < 8; v++) _mm_storeu_si128((__m128i *)(out + 16 * v), _mm_aesenclast_si128(x[v], k[ROUNDS]));
}

#endif

static void keystream(u8 *out, size_t bytes, const u8 *key, uint32_t stream, uint32_t purpose) {
  __m128i k[ROUNDS + 1];
  u8 last[PIECE];
  u64 head = (u64)__builtin_bswap32(purpose) << 32 | __builtin_bswap32(stream), block = 0;
  expand_key(k, key);
  size_t done = 0;
  for (; done + PIECE <= bytes; done += PIECE, block += PIECE / 16) keystream_piece(out + done, k, head, block);
  if (done < bytes) {
    keystream_piece(last, k, head, block);
    memcpy(out + done, last, bytes - done);
  }
  memset(k, 0, sizeof k);
  memset(last, 0, sizeof last);
  /* The compiler may not leave these out. */
  __asm__ volatile("" : : "r"(k), "r"(last) : "memory");
}

/* ---- the door to JavaScript ---- */

/* Each thread has its own JavaScript, and may have its own memory. */
static _Thread_local u8 *memory;


#define MOST_ARGUMENTS 14
/* Numbers, as pointers and counts. */
static int arguments(napi_env env, napi_callback_info info, int64_t *n) {
  napi_value args[MOST_ARGUMENTS];
  size_t count = MOST_ARGUMENTS;
  napi_get_cb_info(env, info, &count, args, NULL, NULL);
  for (size_t i = 0; i < count; i++) napi_get_value_int64(env, args[i], &n[i]);
  return (int)count;
}
#define WORDS(i) ((u64 *)(memory + n[i]))
#define PLANE(i) (n[i] ? WORDS(i) : NULL)
#define INT(i) ((int)n[i])
#define DOOR(name, call)                                               \
  static napi_value js_##name(napi_env env, napi_callback_info info) { \
    int64_t n[MOST_ARGUMENTS];                                         \
    arguments(env, info, n);                                           \
    call;                                                              \
    return NULL;                                                       \
  }
#define BYTES_OF(name, bytes)                                          \
  static napi_value js_##name(napi_env env, napi_callback_info info) { \
    napi_value result;                                                 \
    (void)info;                                                        \
    napi_create_int64(env, bytes, &result);                            \
    return result;                                                     \
  }

DOOR(add, add(WORDS(0), WORDS(1), WORDS(2), INT(3)))
DOOR(subtract, subtract(WORDS(0), WORDS(1), WORDS(2), INT(3)))
DOOR(negate, negate(WORDS(0), WORDS(1), INT(2)))
DOOR(multiply, multiply(WORDS(0), WORDS(1), WORDS(2), INT(3)))
DOOR(addScaled, add_scaled(WORDS(0), WORDS(1), (uint32_t)n[2] | (u64)n[3] << 32, INT(4)))
DOOR(scaleColumns, scale_columns(WORDS(0), WORDS(1), WORDS(2), INT(3), INT(4)))
DOOR(rowSum, row_sum(WORDS(0), WORDS(1), INT(2), INT(3)))
DOOR(centre, centre(WORDS(0), WORDS(1), INT(2), INT(3)))
DOOR(reduce, reduce(WORDS(0), WORDS(1), INT(2), INT(3)))
DOOR(truncate, truncate(WORDS(0), WORDS(1), INT(2), INT(3), INT(4), INT(5)))
DOOR(msb, msb(WORDS(0), WORDS(1), INT(2), INT(3)))
DOOR(xorWords, xor_words(WORDS(0), WORDS(1), WORDS(2), INT(3)))
DOOR(packBits, pack_bits((u8 *)WORDS(0), WORDS(1), INT(2), INT(3)))
DOOR(unpackBits, unpack_bits(WORDS(0), (u8 *)WORDS(1), INT(2), INT(3)))
DOOR(matmul, matmul(WORDS(0), WORDS(1), WORDS(2), WORDS(3), INT(4), INT(5), INT(6), INT(7), INT(8)))
DOOR(matmulNarrow,
     matmul_narrow(WORDS(0), WORDS(1), (int32_t *)WORDS(2), WORDS(3), INT(4), INT(5), INT(6), INT(8), INT(9)))
DOOR(polynomialEvaluate, polynomial(memory, WORDS(0), INT(1), (Variable *)WORDS(2), INT(3), (Term *)WORDS(4), INT(5),
                                    (Pair *)WORDS(6), (u64(*)[BLOCK])WORDS(7)))
DOOR(widePolynomial, wide_polynomial(memory, WORDS(0), WORDS(1), INT(2), (Variable *)WORDS(3), INT(4), (WideTerm *)WORDS(5),
                                     INT(6), (Pair *)WORDS(7), (u64(*)[BLOCK])WORDS(8)))
DOOR(fourierSecrets, fourier_secrets((i64 *)WORDS(0), WORDS(1), INT(2), INT(3), INT(4), INT(5), INT(6)))
DOOR(fourierEvaluate,
     fourier((i64 *)WORDS(0), WORDS(1), INT(2), INT(3), INT(4), INT(5), (double *)WORDS(6), (i64 *)WORDS(7)))
DOOR(keystream, keystream((u8 *)WORDS(0), (size_t)n[1], (u8 *)WORDS(2), (uint32_t)n[3], (uint32_t)n[4]))
DOOR(wideAdd, wide_add(WORDS(0), WORDS(1), WORDS(2), PLANE(3), INT(4), INT(5)))
DOOR(wideMultiplyAdd, wide_multiply_add(WORDS(0), WORDS(1), WORDS(2), WORDS(3), PLANE(4), INT(5)))
DOOR(wideSubtractScaled, wide_subtract_scaled(WORDS(0), PLANE(1), WORDS(2), WORDS(3), INT(4)))
DOOR(wideRowSum, wide_row_sum(WORDS(0), WORDS(1), WORDS(2), PLANE(3), INT(4), INT(5)))
DOOR(wideMatmul, wide_matmul(WORDS(0), PLANE(1), n[2], n[3], WORDS(4), n[5], n[6],
                             (WideOperand){WORDS(7), PLANE(8), n[9], n[10]}, INT(11), INT(12), INT(13)))
DOOR(wideTally, wide_tally(WORDS(0), WORDS(1), PLANE(2), (uint32_t *)WORDS(3), INT(4), INT(5)))
DOOR(xorTally, xor_tally(WORDS(0), WORDS(1), (uint32_t *)WORDS(2), INT(3)))
BYTES_OF(matmulScratch, PANEL)
BYTES_OF(narrowScratch, PANEL)

/* attach(bytes: Uint8Array over the whole memory) */
static napi_value js_attach(napi_env env, napi_callback_info info) {
  napi_value view;
  size_t count = 1;
  void *data;
  napi_get_cb_info(env, info, &count, &view, NULL, NULL);
  if (napi_get_typedarray_info(env, view, NULL, NULL, &data, NULL, NULL) != napi_ok)
    napi_throw_type_error(env, NULL, "attach takes the memory's bytes");
  else memory = data;
  return NULL;
}

static int supported(void) {
#ifdef __AVX512DQ__
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2")
#ifdef __AVX512IFMA__
         && __builtin_cpu_supports("avx512ifma") && __builtin_cpu_supports("vaes")
#endif
         && __builtin_cpu_supports("aes");
#else
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("aes");
#endif
}

NAPI_MODULE_INIT() {
  if (!supported()) {
    napi_throw_error(env, NULL, "this processor lacks the instructions");
    return exports;
  }
#define EXPORT(name)                                                                       \
  {                                                                                        \
    napi_value f;                                                                          \
    napi_create_function(env, #name, NAPI_AUTO_LENGTH, js_##name, NULL, &f);               \
    napi_set_named_property(env, exports, #name, f);                                       \
  }
  EXPORT(attach) EXPORT(add) EXPORT(subtract) EXPORT(negate) EXPORT(multiply) EXPORT(addScaled) EXPORT(scaleColumns)
  EXPORT(rowSum) EXPORT(centre) EXPORT(reduce) EXPORT(truncate) EXPORT(msb) EXPORT(xorWords)
  EXPORT(packBits) EXPORT(unpackBits) EXPORT(matmul) EXPORT(matmulNarrow) EXPORT(matmulScratch) EXPORT(narrowScratch)
  EXPORT(polynomialEvaluate) EXPORT(fourierSecrets) EXPORT(fourierEvaluate) EXPORT(keystream)
  EXPORT(wideAdd) EXPORT(wideMultiplyAdd) EXPORT(wideSubtractScaled) EXPORT(wideRowSum) EXPORT(wideMatmul)
  EXPORT(wideTally) EXPORT(xorTally) EXPORT(widePolynomial)
  return exports;
}
