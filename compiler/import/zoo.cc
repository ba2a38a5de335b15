#include "compiler/import/zoo.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "onnx/onnx_pb.h"

namespace hone {
namespace {

// Numbers that depend on the seed alone: the standard's distributions differ between libraries.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  double Uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(engine_() >> 11) * 0x1p-53;
  }
  // Standard normal, by Box and Muller.
  double Normal() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    const double radius = std::sqrt(-2 * std::log(1 - Uniform(0, 1)));
    const double angle = Uniform(0, 2 * M_PI);
    spare_ = radius * std::sin(angle);
    has_spare_ = true;
    return radius * std::cos(angle);
  }

 private:
  std::mt19937_64 engine_;
  double spare_ = 0;
  bool has_spare_ = false;
};

struct ConvShape {
  int64_t in = 0;
  int64_t out = 0;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t pad = 0;
  int64_t groups = 1;
};

// Writes one network, layer by layer; every function returns the name of what it computes.
class NetworkWriter {
 public:
  NetworkWriter(const std::string& name, int64_t image_size, uint64_t seed) : random_(seed) {
    model_.set_ir_version(8);
    model_.set_producer_name("hone");
    onnx::OperatorSetIdProto* opset = model_.add_opset_import();
    opset->set_domain("");
    opset->set_version(13);
    graph().set_name(name);
    Describe(graph().add_input(), "input", {1, 3, image_size, image_size});
  }

  std::string Convolution(const std::string& x, const ConvShape& c, bool bias) {
    const std::string name = absl::StrCat("conv", ++layers_);
    const int64_t fan_in = c.in / c.groups * c.kernel * c.kernel;
    std::vector<std::string> inputs = {
        x, Normals(name + ".weight", {c.out, c.in / c.groups, c.kernel, c.kernel},
                   std::sqrt(2.0 / static_cast<double>(fan_in)))};
    if (bias) inputs.push_back(Normals(name + ".bias", {c.out}, 0.05));
    onnx::NodeProto& node = Add("Conv", name, inputs);
    SetInts(node, "kernel_shape", {c.kernel, c.kernel});
    SetInts(node, "strides", {c.stride, c.stride});
    SetInts(node, "pads", {c.pad, c.pad, c.pad, c.pad});
    SetInt(node, "group", c.groups);
    return name;
  }

  // `gain`: around which the scales lie. Small at the end of a residual branch, as in training,
  // so that sums do not grow from block to block.
  std::string Normalised(const std::string& x, int64_t channels, double gain) {
    const std::string name = x + ".bn";
    Add("BatchNormalization", name,
        {x, Uniforms(name + ".scale", {channels}, 0.8 * gain, 1.2 * gain),
         Uniforms(name + ".bias", {channels}, -0.1, 0.1),
         Uniforms(name + ".mean", {channels}, -0.1, 0.1),
         Uniforms(name + ".var", {channels}, 0.8, 1.2)});
    return name;
  }

  std::string ConvNorm(const std::string& x, const ConvShape& shape, double gain = 1) {
    return Normalised(Convolution(x, shape, /*bias=*/false), shape.out, gain);
  }

  std::string Unary(const std::string& op, const std::string& x) {
    const std::string name = absl::StrCat(x, ".", op);
    Add(op, name, {x});
    return name;
  }
  std::string Relu(const std::string& x) { return Unary("Relu", x); }

  std::string Relu6(const std::string& x) {
    const std::string name = x + ".relu6";
    if (!has_bounds_) {
      Scalar("zero", 0);
      Scalar("six", 6);
      has_bounds_ = true;
    }
    Add("Clip", name, {x, "zero", "six"});
    return name;
  }

  std::string Sum(const std::string& a, const std::string& b) {
    const std::string name = absl::StrCat("add", ++layers_);
    Add("Add", name, {a, b});
    return name;
  }

  std::string Concat(const std::string& a, const std::string& b) {
    const std::string name = absl::StrCat("concat", ++layers_);
    SetInt(Add("Concat", name, {a, b}), "axis", 1);
    return name;
  }

  std::string MaxPool(const std::string& x, int64_t kernel, int64_t stride, int64_t pad,
                      bool ceil = false) {
    const std::string name = x + ".pool";
    onnx::NodeProto& node = Add("MaxPool", name, {x});
    SetInts(node, "kernel_shape", {kernel, kernel});
    SetInts(node, "strides", {stride, stride});
    SetInts(node, "pads", {pad, pad, pad, pad});
    if (ceil) SetInt(node, "ceil_mode", 1);
    return name;
  }

  // Global average, flat: [1,C].
  std::string PoolAll(const std::string& x) {
    const std::string pooled = Unary("GlobalAveragePool", x);
    return Unary("Flatten", pooled);
  }

  std::string Dense(const std::string& x, int64_t in, int64_t out) {
    const double spread = 1 / std::sqrt(static_cast<double>(in));
    onnx::NodeProto& node =
        Add("Gemm", "fc",
            {x, Normals("fc.weight", {out, in}, spread), Normals("fc.bias", {out}, 0.05)});
    SetInt(node, "transB", 1);
    return "fc";
  }

  // Renames the last node's value to "output" and gives the file's bytes.
  std::string Finish(const std::string& last, int64_t classes) {
    for (onnx::NodeProto& node : *graph().mutable_node()) {
      if (node.output(0) == last) node.set_output(0, "output");
    }
    Describe(graph().add_output(), "output", {1, classes});
    return model_.SerializeAsString();
  }

 private:
  onnx::GraphProto& graph() { return *model_.mutable_graph(); }

  onnx::NodeProto& Add(const std::string& op, const std::string& name,
                       const std::vector<std::string>& inputs) {
    onnx::NodeProto& node = *graph().add_node();
    node.set_op_type(op);
    node.set_name(name);
    for (const std::string& input : inputs) node.add_input(input);
    node.add_output(name);
    return node;
  }

  static void SetInt(onnx::NodeProto& node, const char* name, int64_t value) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::INT);
    attribute.set_i(value);
  }

  static void SetInts(onnx::NodeProto& node, const char* name, const std::vector<int64_t>& values) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::INTS);
    for (int64_t value : values) attribute.add_ints(value);
  }

  static void Describe(onnx::ValueInfoProto* info, const char* name,
                       const std::vector<int64_t>& shape) {
    info->set_name(name);
    onnx::TypeProto::Tensor& type = *info->mutable_type()->mutable_tensor_type();
    type.set_elem_type(onnx::TensorProto::FLOAT);
    for (int64_t extent : shape) type.mutable_shape()->add_dim()->set_dim_value(extent);
  }

  template <typename Draw>
  std::string Weights(const std::string& name, const std::vector<int64_t>& shape, Draw draw) {
    onnx::TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    int64_t count = 1;
    for (int64_t extent : shape) {
      tensor.add_dims(extent);
      count *= extent;
    }
    std::vector<float> values(count);
    for (float& value : values) value = static_cast<float>(draw());
    tensor.set_raw_data(values.data(), values.size() * sizeof(float));
    return name;
  }

  std::string Normals(const std::string& name, const std::vector<int64_t>& shape, double spread) {
    return Weights(name, shape, [&] { return random_.Normal() * spread; });
  }
  std::string Uniforms(const std::string& name, const std::vector<int64_t>& shape, double low,
                       double high) {
    return Weights(name, shape, [&] { return random_.Uniform(low, high); });
  }
  void Scalar(const std::string& name, double value) {
    Weights(name, {}, [&] { return value; });
  }

  Random random_;
  onnx::ModelProto model_;
  int layers_ = 0;
  bool has_bounds_ = false;
};

constexpr double kBranchGain = 0.3;  // scale of the last normalisation of a residual branch

// Two 3x3 convolutions beside a shortcut (He et al. 2015, figure 5 left).
std::string BasicBlock(NetworkWriter& net, const std::string& x, int64_t in, int64_t out,
                       int64_t stride) {
  std::string y = net.Relu(net.ConvNorm(x, {in, out, 3, stride, 1}));
  y = net.ConvNorm(y, {out, out, 3, 1, 1}, kBranchGain);
  const bool same = in == out && stride == 1;
  return net.Relu(net.Sum(y, same ? x : net.ConvNorm(x, {in, out, 1, stride, 0})));
}

// 1x1, 3x3, 1x1 with four times the channels at the end (figure 5 right; the stride is on the 3x3).
std::string BottleneckBlock(NetworkWriter& net, const std::string& x, int64_t in, int64_t width,
                            int64_t stride) {
  const int64_t out = width * 4;
  std::string y = net.Relu(net.ConvNorm(x, {in, width, 1, 1, 0}));
  y = net.Relu(net.ConvNorm(y, {width, width, 3, stride, 1}));
  y = net.ConvNorm(y, {width, out, 1, 1, 0}, kBranchGain);
  const bool same = in == out && stride == 1;
  return net.Relu(net.Sum(y, same ? x : net.ConvNorm(x, {in, out, 1, stride, 0})));
}

std::string ResNet(const std::string& name, const std::vector<int>& blocks, bool bottleneck,
                   uint64_t seed) {
  NetworkWriter net(name, 224, seed);
  std::string x = net.Relu(net.ConvNorm("input", {3, 64, 7, 2, 3}));
  x = net.MaxPool(x, 3, 2, 1);
  int64_t channels = 64;
  for (size_t stage = 0; stage < blocks.size(); ++stage) {
    const int64_t width = int64_t{64} << stage;
    for (int block = 0; block < blocks[stage]; ++block) {
      const int64_t stride = stage > 0 && block == 0 ? 2 : 1;
      x = bottleneck ? BottleneckBlock(net, x, channels, width, stride)
                     : BasicBlock(net, x, channels, width, stride);
      channels = bottleneck ? width * 4 : width;
    }
  }
  return net.Finish(net.Dense(net.PoolAll(x), channels, 1000), 1000);
}

// Sandler et al. 2018, table 2: expansion, channels, repeats, stride of the first.
std::string MobileNetV2(uint64_t seed) {
  struct Stage {
    int64_t expansion, out;
    int repeats;
    int64_t stride;
  };
  constexpr Stage kStages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                               {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  NetworkWriter net("mobilenetv2", 224, seed);
  std::string x = net.Relu6(net.ConvNorm("input", {3, 32, 3, 2, 1}));
  int64_t in = 32;
  for (const Stage& stage : kStages) {
    for (int i = 0; i < stage.repeats; ++i) {
      const int64_t stride = i == 0 ? stage.stride : 1;
      const int64_t hidden = in * stage.expansion;
      std::string y = x;
      if (stage.expansion != 1) y = net.Relu6(net.ConvNorm(y, {in, hidden, 1, 1, 0}));
      y = net.Relu6(net.ConvNorm(y, {hidden, hidden, 3, stride, 1, hidden}));
      const bool residual = stride == 1 && in == stage.out;
      y = net.ConvNorm(y, {hidden, stage.out, 1, 1, 0}, residual ? kBranchGain : 1);
      x = residual ? net.Sum(x, y) : y;
      in = stage.out;
    }
  }
  x = net.Relu6(net.ConvNorm(x, {320, 1280, 1, 1, 0}));
  return net.Finish(net.Dense(net.PoolAll(x), 1280, 1000), 1000);
}

// Iandola et al. 2016, version 1.1: fire modules squeeze, then expand by 1x1 and 3x3 side by side.
std::string SqueezeNet(uint64_t seed) {
  NetworkWriter net("squeezenet", 224, seed);
  int64_t channels = 64;
  auto conv = [&](const std::string& x, const ConvShape& shape) {
    return net.Relu(net.Convolution(x, shape, /*bias=*/true));
  };
  auto fire = [&](const std::string& x, int64_t squeeze, int64_t expand) {
    const std::string s = conv(x, {channels, squeeze, 1, 1, 0});
    const std::string narrow = conv(s, {squeeze, expand, 1, 1, 0});
    const std::string wide = conv(s, {squeeze, expand, 3, 1, 1});
    channels = 2 * expand;
    return net.Concat(narrow, wide);
  };
  std::string x = conv("input", {3, 64, 3, 2, 0});
  x = fire(fire(net.MaxPool(x, 3, 2, 0, true), 16, 64), 16, 64);
  x = fire(fire(net.MaxPool(x, 3, 2, 0, true), 32, 128), 32, 128);
  x = fire(fire(net.MaxPool(x, 3, 2, 0, true), 48, 192), 48, 192);
  x = fire(fire(x, 64, 256), 64, 256);
  x = conv(x, {channels, 1000, 1, 1, 0});
  return net.Finish(net.PoolAll(x), 1000);
}

std::string TinyNet(uint64_t seed) {
  NetworkWriter net("tiny", 32, seed);
  std::string x = net.Relu(net.ConvNorm("input", {3, 16, 3, 1, 1}));
  x = BasicBlock(net, x, 16, 16, 1);
  x = BasicBlock(net, x, 16, 32, 2);
  return net.Finish(net.Dense(net.PoolAll(x), 32, 10), 10);
}

}  // namespace

const std::vector<ZooEntry>& ZooEntries() {
  static const auto* const kEntries = new std::vector<ZooEntry>{
      {"mobilenetv2", "MobileNetV2 1.0, 224x224: depthwise convolutions; 3.5 M weights, 0.3 GMAC"},
      {"resnet18", "ResNet-18, 224x224: 3x3 convolutions; 11.7 M weights, 1.8 GMAC"},
      {"resnet50", "ResNet-50, 224x224: 1x1 and 3x3 convolutions; 25.6 M weights, 4.1 GMAC"},
      {"squeezenet", "SqueezeNet 1.1, 224x224: fire modules; 1.2 M weights, 0.35 GMAC"},
      {"tiny", "two residual blocks on 32x32: for trying things; 20 k weights, 9 MMAC"},
  };
  return *kEntries;
}

StatusOr<std::string> ZooModel(absl::string_view name, uint64_t seed) {
  if (name == "resnet18") return ResNet("resnet18", {2, 2, 2, 2}, false, seed);
  if (name == "resnet50") return ResNet("resnet50", {3, 4, 6, 3}, true, seed);
  if (name == "mobilenetv2") return MobileNetV2(seed);
  if (name == "squeezenet") return SqueezeNet(seed);
  if (name == "tiny") return TinyNet(seed);
  std::vector<std::string> names;
  for (const ZooEntry& entry : ZooEntries()) names.push_back(entry.name);
  return absl::InvalidArgumentError(
      absl::StrCat("the zoo has no '", name, "'; it has ", absl::StrJoin(names, ", ")));
}

}  // namespace hone
