package linear

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Stride is the room for classes in the weights of a feature.
const Stride = 16

// Model holds weights as one byte each. It must not be changed once used; it is safe for concurrent use.
type Model struct {
	Classes int
	Bias    []float32 // by class
	Scale   []float32 // by class: what a weight of 1 stands for
	weights []int8    // feature*stride + class
	stride  int
}

func strideFor(classes int) int {
	if classes <= 8 {
		return 8
	}
	return Stride
}

// Logits writes the score of each class to dst, which has Classes elements.
func (m *Model) Logits(index []uint32, value []float32, dst []float32) {
	if m.stride == 8 {
		var sum [8]float32
		for i, f := range index {
			w := m.weights[int(f)*8 : int(f)*8+8 : int(f)*8+8]
			v := value[i]
			sum[0] += v * float32(w[0])
			sum[1] += v * float32(w[1])
			sum[2] += v * float32(w[2])
			sum[3] += v * float32(w[3])
			sum[4] += v * float32(w[4])
			sum[5] += v * float32(w[5])
			sum[6] += v * float32(w[6])
			sum[7] += v * float32(w[7])
		}
		for c := range dst {
			dst[c] = sum[c]*m.Scale[c] + m.Bias[c]
		}
		return
	}
	var sum [Stride]float32
	for i, f := range index {
		w := m.weights[int(f)*Stride : int(f)*Stride+Stride]
		v := value[i]
		for c := range sum {
			sum[c] += v * float32(w[c])
		}
	}
	for c := range dst {
		dst[c] = sum[c]*m.Scale[c] + m.Bias[c]
	}
}

// Weight gives the weight of a feature for a class, in logits per unit of the feature's value.
func (m *Model) Weight(feature uint32, class int) float32 {
	return float32(m.weights[int(feature)*m.stride+class]) * m.Scale[class]
}

// Rescale multiplies the logits by factor and then adds shift to each class: calibration after fitting.
func (m *Model) Rescale(factor float32, shift []float64) {
	for c := range m.Bias {
		m.Bias[c] = float32(m.Bias[c]*factor) + float32(shift[c])
		m.Scale[c] *= factor
	}
}

// Softmax turns logits into probabilities in place.
func Softmax(x []float32) {
	top := x[0]
	for _, v := range x[1:] {
		top = max(top, v)
	}
	var sum float32
	for i, v := range x {
		x[i] = float32(math.Exp(float64(v - top)))
		sum += x[i]
	}
	for i := range x {
		x[i] /= sum
	}
}

// Append writes the model: only features with weights, as differences and bytes.
func (m *Model) Append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(m.Classes))
	b = binary.AppendUvarint(b, uint64(len(m.weights)/m.stride))
	for c := range m.Classes {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(m.Bias[c]))
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(m.Scale[c]))
	}
	last := -1
	for f := 0; f*m.stride < len(m.weights); f++ {
		w := m.weights[f*m.stride : f*m.stride+m.Classes]
		mask := uint64(0)
		for c, v := range w {
			if v != 0 {
				mask |= 1 << c
			}
		}
		if mask == 0 {
			continue
		}
		b = binary.AppendUvarint(b, uint64(f-last))
		b = binary.AppendUvarint(b, mask)
		for _, v := range w {
			if v != 0 {
				b = append(b, byte(v))
			}
		}
		last = f
	}
	return binary.AppendUvarint(b, 0)
}

var errShort = errors.New("model ends early")

// Read reads what Append wrote and gives the rest.
func Read(b []byte) (*Model, []byte, error) {
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			b = nil
			return 0
		}
		b = b[n:]
		return v
	}
	classes, features := next(), next()
	if classes == 0 || classes > Stride || features == 0 || features > 1<<22 {
		return nil, nil, fmt.Errorf("model of %d classes and %d features is not one of ours", classes, features)
	}
	if len(b) < int(classes)*8 {
		return nil, nil, errShort
	}
	m := &Model{Classes: int(classes), stride: strideFor(int(classes))}
	float := func() float32 {
		v := math.Float32frombits(binary.LittleEndian.Uint32(b))
		b = b[4:]
		return v
	}
	for range classes {
		m.Bias = append(m.Bias, float())
		m.Scale = append(m.Scale, float())
	}
	m.weights = make([]int8, int(features)*m.stride)
	for f := -1; ; {
		if len(b) == 0 {
			return nil, nil, errShort
		}
		step := next()
		if step == 0 {
			return m, b, nil
		}
		if step > features || f+int(step) >= int(features) {
			return nil, nil, errors.New("model has a feature beyond its last")
		}
		f += int(step)
		mask := next()
		for c := range int(classes) {
			if mask&(1<<c) == 0 {
				continue
			}
			if len(b) == 0 {
				return nil, nil, errShort
			}
			m.weights[f*m.stride+c] = int8(b[0])
			b = b[1:]
		}
	}
}

// Features gives the size of the feature space.
func (m *Model) Features() int { return len(m.weights) / m.stride }
