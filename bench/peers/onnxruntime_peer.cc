// ONNX Runtime as a peer: a model of as few nodes as the problem takes, run on one thread, which
// leaves nothing that could spin. Each run is a call of the library as an application makes it,
// with what it does around its kernels.
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/peers/kernel_peer.h"
#include "bench/peers/onnxruntime_api.h"

namespace {

using Shape = std::vector<int64_t>;

const hone_ort_api& Api() { return *OrtGetApiBase()->GetApi(ORT_TABLE_VERSION); }

void Check(OrtStatus* status) {
  if (status == nullptr) return;
  const std::string message = Api().GetErrorMessage(status);
  Api().ReleaseStatus(status);
  throw std::runtime_error(message);
}

// A handle of the library, released by one of its functions.
template <typename T>
using Handle = std::unique_ptr<T, void (*)(T*)>;

int64_t Count(const Shape& shape) {
  int64_t count = 1;
  for (int64_t extent : shape) count *= extent;
  return count;
}

void FillRandom(float* values, int64_t count) {
  std::minstd_rand random(1);
  std::normal_distribution<float> normal;
  std::generate(values, values + count, [&] { return normal(random); });
}

// A graph in the making: inputs, constants and nodes, and one output.
class Model {
 public:
  struct Argument {
    std::string name;
    Shape shape;
  };

  Model() {
    model_.set_ir_version(8);
    Import("", 20);  // the first that has Gelu
  }

  void Import(const std::string& domain, int version) {
    onnx::OperatorSetIdProto* set = model_.add_opset_import();
    set->set_domain(domain);
    set->set_version(version);
  }

  std::string Input(const std::string& name, const Shape& shape) {
    Declare(*model_.mutable_graph()->add_input(), name, shape);
    inputs_.push_back({name, shape});
    return name;
  }

  // Of random values, or all of one.
  std::string Constant(const std::string& name, const Shape& shape, const float* value = nullptr) {
    onnx::TensorProto* tensor = model_.mutable_graph()->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(onnx::TensorProto::FLOAT);
    for (int64_t extent : shape) tensor->add_dims(extent);
    std::vector<float> values(Count(shape), value == nullptr ? 0 : *value);
    if (value == nullptr) FillRandom(values.data(), Count(shape));
    tensor->set_raw_data(values.data(), values.size() * sizeof(float));
    return name;
  }

  onnx::NodeProto& Node(const std::string& op, const std::vector<std::string>& inputs,
                        const std::string& output, const std::string& domain = "") {
    onnx::NodeProto* node = model_.mutable_graph()->add_node();
    node->set_op_type(op);
    node->set_domain(domain);
    node->set_name(output);
    for (const std::string& input : inputs) node->add_input(input);
    node->add_output(output);
    return *node;
  }

  void Output(const std::string& name, const Shape& shape) {
    Declare(*model_.mutable_graph()->add_output(), name, shape);
    output_ = {name, shape};
  }

  std::string Text() {
    model_.mutable_graph()->set_name("problem");
    return model_.SerializeAsString();
  }
  const std::vector<Argument>& inputs() const { return inputs_; }
  const Argument& output() const { return output_; }

 private:
  static void Declare(onnx::ValueInfoProto& value, const std::string& name, const Shape& shape) {
    value.set_name(name);
    onnx::TypeProto_Tensor* type = value.mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    type->mutable_shape();
    for (int64_t extent : shape) type->mutable_shape()->add_dim()->set_dim_value(extent);
  }

  onnx::ModelProto model_;
  std::vector<Argument> inputs_;
  Argument output_;
};

onnx::AttributeProto& Attribute(onnx::NodeProto& node, const std::string& name,
                                onnx::AttributeProto::AttributeType type) {
  onnx::AttributeProto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(type);
  return *attribute;
}

void SetInt(onnx::NodeProto& node, const std::string& name, int64_t value) {
  Attribute(node, name, onnx::AttributeProto::INT).set_i(value);
}

void SetInts(onnx::NodeProto& node, const std::string& name, std::initializer_list<int64_t> list) {
  onnx::AttributeProto& attribute = Attribute(node, name, onnx::AttributeProto::INTS);
  for (int64_t value : list) attribute.add_ints(value);
}

// The first: what the operator set says, on plain layouts. The second: an operator of the library's
// own, into which its optimizer turns parts of larger models.
constexpr const char* kAlgorithms[] = {"plain", "own operator"};
constexpr int kOwnOperator = 1;
// A multiple of every block of channels that the library uses.
constexpr int64_t kChannelBlock = 16;

// Blocks of channels in and out, as within a model; the first layer reads plain images.
bool CanBeBlocked(const hone_peer_problem& p) {
  return p.outputs % kChannelBlock == 0 && (p.channels % kChannelBlock == 0 || p.channels < 8);
}

void BuildConvolution(const hone_peer_problem& p, bool blocked, Model& model) {
  const int64_t pad = p.kernel / 2;
  const int64_t out = (p.size + 2 * pad - p.kernel) / p.stride + 1;
  const std::string domain = blocked ? "com.microsoft.nchwc" : "";
  if (blocked) model.Import(domain, 1);
  model.Input("x", {1, p.channels, p.size, p.size});
  model.Constant("w", {p.outputs, p.channels / p.groups, p.kernel, p.kernel});
  onnx::NodeProto& node = model.Node("Conv", {"x", "w"}, "y", domain);
  SetInts(node, "kernel_shape", {p.kernel, p.kernel});
  SetInts(node, "strides", {p.stride, p.stride});
  SetInts(node, "pads", {pad, pad, pad, pad});
  SetInts(node, "dilations", {1, 1});
  SetInt(node, "group", p.groups);
  model.Output("y", {1, p.outputs, out, out});
}

void BuildMatMul(const hone_peer_problem& p, bool own, Model& model) {
  if (p.kind == HONE_PEER_BATCHED_MATMUL) {
    model.Input("x", {p.batch, p.m, p.k});
    model.Input("w", {p.batch, p.k, p.n});
    model.Node("MatMul", {"x", "w"}, "y");
    return model.Output("y", {p.batch, p.m, p.n});
  }
  model.Input("x", {p.m, p.k});
  model.Constant("w", {p.k, p.n});
  if (p.kind == HONE_PEER_MATMUL) {
    model.Node("MatMul", {"x", "w"}, "y");
  } else {
    model.Constant("bias", {p.n});
    model.Node("MatMul", {"x", "w"}, "product");
    if (own) {
      const std::string domain = "com.microsoft";
      model.Import(domain, 1);
      model.Node("BiasGelu", {"product", "bias"}, "y", domain);
    } else {
      model.Node("Add", {"product", "bias"}, "sum");
      model.Node("Gelu", {"sum"}, "y");
    }
  }
  model.Output("y", {p.m, p.n});
}

void BuildRows(const hone_peer_problem& p, Model& model) {
  model.Input("x", {p.m, p.n});
  if (p.kind == HONE_PEER_SOFTMAX) {
    SetInt(model.Node("Softmax", {"x"}, "y"), "axis", -1);
  } else {
    model.Constant("scale", {p.n});
    model.Constant("shift", {p.n});
    SetInt(model.Node("LayerNormalization", {"x", "scale", "shift"}, "y"), "axis", -1);
  }
  model.Output("y", {p.m, p.n});
}

void BuildAttention(const hone_peer_problem& p, bool own, Model& model) {
  if (own) {
    // Its heads lie beside each other in a row.
    const std::string domain = "com.microsoft";
    model.Import(domain, 1);
    model.Input("q", {1, p.m, p.batch * p.k});
    model.Input("k", {1, p.n, p.batch * p.k});
    model.Input("v", {1, p.n, p.batch * p.k});
    SetInt(model.Node("MultiHeadAttention", {"q", "k", "v"}, "y", domain), "num_heads", p.batch);
    return model.Output("y", {1, p.m, p.batch * p.k});
  }
  const float scale = 1 / std::sqrt(static_cast<float>(p.k));
  model.Input("q", {p.batch, p.m, p.k});
  model.Input("k", {p.batch, p.n, p.k});
  model.Input("v", {p.batch, p.n, p.k});
  model.Constant("scale", {}, &scale);
  SetInts(model.Node("Transpose", {"k"}, "turned"), "perm", {0, 2, 1});
  model.Node("MatMul", {"q", "turned"}, "scores");
  model.Node("Mul", {"scores", "scale"}, "scaled");
  SetInt(model.Node("Softmax", {"scaled"}, "weights"), "axis", -1);
  model.Node("MatMul", {"weights", "v"}, "y");
  model.Output("y", {p.batch, p.m, p.k});
}

// False where there is no such algorithm.
bool Build(const hone_peer_problem& p, int algorithm, Model& model) {
  const bool own = algorithm == kOwnOperator;
  switch (p.kind) {
    case HONE_PEER_CONVOLUTION:
      if (own && !CanBeBlocked(p)) return false;
      BuildConvolution(p, own, model);
      return true;
    case HONE_PEER_ATTENTION:
      BuildAttention(p, own, model);
      return true;
    case HONE_PEER_GELU_MATMUL:
      BuildMatMul(p, own, model);
      return true;
    case HONE_PEER_MATMUL:
    case HONE_PEER_BATCHED_MATMUL:
      if (!own) BuildMatMul(p, own, model);
      return !own;
    case HONE_PEER_SOFTMAX:
    case HONE_PEER_LAYER_NORM:
      if (!own) BuildRows(p, model);
      return !own;
  }
  return false;
}

Handle<OrtEnv> MakeEnvironment() {
  OrtEnv* environment = nullptr;
  Check(Api().CreateEnv(ORT_LOG_ERRORS, "hone", &environment));
  return {environment, Api().ReleaseEnv};
}

Handle<OrtSession> MakeSession(const OrtEnv* environment, const std::string& model) {
  OrtSessionOptions* made = nullptr;
  Check(Api().CreateSessionOptions(&made));
  const Handle<OrtSessionOptions> options(made, Api().ReleaseSessionOptions);
  Check(Api().SetIntraOpNumThreads(options.get(), 1));
  Check(Api().SetInterOpNumThreads(options.get(), 1));
  Check(Api().SetSessionGraphOptimizationLevel(options.get(), ORT_OPTIMIZE_ALL));
  OrtSession* session = nullptr;
  Check(Api().CreateSessionFromArray(environment, model.data(), model.size(), options.get(),
                                     &session));
  return {session, Api().ReleaseSession};
}

// With its elements on a cache line of their own.
struct Tensor {
  std::string name;
  std::unique_ptr<float, void (*)(void*)> data{nullptr, std::free};
  Handle<OrtValue> value{nullptr, nullptr};
};

Tensor MakeTensor(const Model::Argument& argument) {
  const int64_t bytes = Count(argument.shape) * static_cast<int64_t>(sizeof(float));
  Tensor tensor;
  tensor.name = argument.name;
  tensor.data.reset(static_cast<float*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)));
  FillRandom(tensor.data.get(), Count(argument.shape));
  OrtMemoryInfo* made = nullptr;
  Check(Api().CreateCpuMemoryInfo(ORT_ARENA_ALLOCATOR, ORT_DEFAULT_MEMORY, &made));
  const Handle<OrtMemoryInfo> memory(made, Api().ReleaseMemoryInfo);
  OrtValue* value = nullptr;
  Check(Api().CreateTensorWithDataAsOrtValue(memory.get(), tensor.data.get(),
                                             static_cast<size_t>(bytes), argument.shape.data(),
                                             argument.shape.size(), ORT_FLOAT, &value));
  tensor.value = {value, Api().ReleaseValue};
  return tensor;
}

}  // namespace

struct hone_peer_run {
  Handle<OrtEnv> environment{nullptr, nullptr};
  Handle<OrtSession> session{nullptr, nullptr};
  std::vector<Tensor> inputs;
  Tensor output;
  std::vector<const char*> input_names;
  std::vector<const OrtValue*> input_values;

  void Execute() {
    const char* output_name = output.name.c_str();
    OrtValue* output_value = output.value.get();
    Check(Api().Run(session.get(), nullptr, input_names.data(), input_values.data(), inputs.size(),
                    &output_name, 1, &output_value));
  }
};

const char* hone_peer_name(void) {
  static const std::string name = std::string("ORT ") + OrtGetApiBase()->GetVersionString();
  return name.c_str();
}

const char* hone_peer_algorithm(int index) { return index < 2 ? kAlgorithms[index] : nullptr; }

hone_peer_run* hone_peer_make(const hone_peer_problem* problem, int algorithm, int threads) {
  if (threads != 1 || problem->type != HONE_PEER_F32) return nullptr;
  Model model;
  if (!Build(*problem, algorithm, model)) return nullptr;
  try {
    auto run = std::make_unique<hone_peer_run>();
    run->environment = MakeEnvironment();
    run->session = MakeSession(run->environment.get(), model.Text());
    for (const Model::Argument& input : model.inputs()) run->inputs.push_back(MakeTensor(input));
    for (const Tensor& input : run->inputs) {
      run->input_names.push_back(input.name.c_str());
      run->input_values.push_back(input.value.get());
    }
    run->output = MakeTensor(model.output());
    run->Execute();  // says whether it can
    return run.release();
  } catch (const std::runtime_error& error) {
    std::fprintf(stderr, "%s: %s\n", hone_peer_name(), error.what());
    return nullptr;
  }
}

void hone_peer_execute(hone_peer_run* run) { run->Execute(); }

void hone_peer_free(hone_peer_run* run) { delete run; }
