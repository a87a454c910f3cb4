"""What deequ's sketch gives: a port of QuantileNonSample.scala and NonSampleCompactor.scala (deequ
2.0, sketch size 2048, shrinking factor 0.64, one partition), line by line, and
Distance.numericalDistance. Python 3; prints the cases of `deequ_sketch` in tests/compare/dialects.rs.
"""
import math


class Compactor:
    def __init__(self):
        self.num_of_compress, self.offset, self.buffer = 0, 0, []

    def compact(self):
        items = len(self.buffer)
        length = items - items % 2
        if self.num_of_compress % 2 == 1:
            self.offset = 1 - self.offset
        ordered = sorted(self.buffer[:length])
        output = [ordered[i] for i in range(self.offset, length, 2)]
        self.buffer = [self.buffer[items - 1]] if items % 2 == 1 else []
        self.num_of_compress += 1
        return output


class Sketch:
    def __init__(self, values):
        self.compactors = [Compactor()]
        self.actual, self.total = 0, self.capacity_count()
        for value in values:
            self.compactors[0].buffer.append(value)
            self.actual += 1
            if self.actual > self.total:
                self.condense()

    def capacity(self, height):
        return 2 * (math.ceil(2048 * 0.64 ** height / 2) + 1)

    def capacity_count(self):
        return sum(self.capacity(height) for height in range(len(self.compactors)))

    def condense(self):
        for height in range(len(self.compactors)):
            if len(self.compactors[height].buffer) >= self.capacity(height):
                if height + 1 >= len(self.compactors):
                    self.compactors.append(Compactor())
                    self.total = self.capacity_count()
                self.compactors[height + 1].buffer += self.compactors[height].compact()
                self.actual = sum(len(c.buffer) for c in self.compactors)
                break

    def rank_map(self):
        output = [(item, 1 << i) for i, c in enumerate(self.compactors) for item in c.buffer]
        rank, ranks = 0, {}
        for item, weight in sorted(dict(sorted(output, key=lambda pair: pair[0])).items()):
            rank += weight
            ranks[item] = rank
        return ranks


def rank(item, ranks):
    current = 0
    for target, upto in ranks.items():
        if target > item:
            break
        current = upto
    return current


def distance(one, other):
    a, b = Sketch(one).rank_map(), Sketch(other).rank_map()
    n, m = max(a.values()), max(b.values())
    simple = max(abs(rank(k, a) / n - rank(k, b) / m) for k in set(a) | set(b))
    return max(0.0, simple - 1.8 * math.sqrt((n + m) / (n * m)))


for rows, other_rows, prime, different, shift in [
    (20_000, 5_000, 7_919, 1_000_003, 200_000), (3_000, 2_000, 7_919, 100, 30), (30_000, 30_000, 104_729, 500, 40),
]:
    one = [float(at * prime % different) for at in range(rows)]
    other = [float(at * prime % different + shift) for at in range(other_rows)]
    print((rows, other_rows, prime, different, shift, distance(one, other)))
